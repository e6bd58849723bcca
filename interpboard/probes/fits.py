"""Probes: the difference of class means, logistic regression and ridge, as weights on the activations.

What is standardised is by the rows that a probe is fitted on, and folded into its weights: a probe is always
of the activations as they are.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

from interpboard.errors import MissingPackage

PROBES = ("mass_mean", "logistic", "ridge")


class Fit(NamedTuple):
    """``weights`` [output, dimension] and ``bias`` [output]: a score for each class, or one number;
    ``converged``: whether the fit came to its end."""

    weights: np.ndarray
    bias: np.ndarray
    converged: bool = True

    def scores(self, values: np.ndarray) -> np.ndarray:
        """[row, output] of ``values`` [row, dimension]."""
        found: np.ndarray = values @ self.weights.T + self.bias
        return found


def fit_probe(kind: str, values: np.ndarray, answers: np.ndarray, strength: float) -> Fit:
    """A probe of ``values`` [row, dimension], in float64. ``answers`` [row]: numbers of classes from 0, of
    ridge numbers. ``strength``: of the penalty on weights of standardised dimensions.
    """
    values = values.astype(np.float64)
    if kind == "mass_mean":
        return _mass_mean(values, answers)
    mean, scale = values.mean(0), values.std(0)
    # What is constant but for rounding says nothing, and is not blown up.
    scale = np.where(scale > 1e-12 * (np.abs(mean) + 1e-300), scale, np.inf)
    standard = (values - mean) / scale
    if kind == "ridge":
        made = _linear_model("Ridge")(alpha=strength).fit(standard, answers)
        weights, bias = made.coef_[None], np.array([made.intercept_])
        converged = True
    else:
        made = _linear_model("LogisticRegression")(C=1 / strength, max_iter=1000)
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            made.fit(standard, answers)
        converged = not any("converge" in str(each.message) for each in heard)
        weights, bias = made.coef_, made.intercept_
        if len(weights) == 1:  # of two classes it has the second's alone
            weights, bias = np.stack([0 * weights[0], weights[0]]), np.array([0.0, bias[0]])
    return Fit(weights / scale, bias - (weights / scale) @ mean, converged)


def direction_of(fit: Fit, kind: str, values: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """The probe's direction [dimension], from the first class to the second, of ridge to larger numbers.

    As long as the way between the class means along it (of ridge: of one standard deviation of the numbers
    by its own slope), so that adding it once is one step: of ``mass_mean`` the difference of means itself.
    """
    values = values.astype(np.float64)
    if kind == "ridge":
        slope = fit.weights[0]
        ridge: np.ndarray = slope * (answers.std() / (slope @ slope))
        return ridge
    between = values[answers == 1].mean(0) - values[answers == 0].mean(0)
    if kind == "mass_mean":
        return between
    way = fit.weights[1] - fit.weights[0]
    direction: np.ndarray = way * ((between @ way) / (way @ way))
    return direction


def _mass_mean(values: np.ndarray, answers: np.ndarray) -> Fit:
    """The nearest class mean (Marks and Tegmark 2023); of two classes their difference from the middle on."""
    middle = values.mean(0)
    means = np.stack([values[answers == c].mean(0) for c in range(int(answers.max()) + 1)]) - middle
    return Fit(means, -(means**2).sum(1) / 2 - means @ middle)


def _linear_model(name: str) -> Any:
    try:
        from sklearn import linear_model
    except ImportError:
        raise MissingPackage(
            "Logistic and ridge probes are fitted by scikit-learn.",
            "pip install 'interpboard[probes]', or use probe=mass_mean.",
        ) from None
    return getattr(linear_model, name)
