"""Which entries of a result may be no effect at all: their interval contains the neutral value, a test does
not tell two groups of rows apart, or they are no further from it than one prompt's metric is from itself.

Every view marks them by the same rule: a question mark where there are characters, hatching where there are
colours.
"""

from __future__ import annotations

import numpy as np

from interpboard.registry import ANALYSES
from interpboard.results.result import Result

UNSURE = "?"
SURE = 0.05  # a p-value under it, over all cells together, tells two groups of rows apart
ROUNDING_EXTRA = "rounding"
"""The ``extra`` with that distance, in the unit of the values (``runs.clean_rounding``)."""


def has_intervals(result: Result) -> bool:
    """Whether each entry has one: ``low`` and ``high`` over the same axes."""
    ends = [result.extra.get(name) for name in ("low", "high")]
    numbers = result.values.dtype != object and result.values.size > 0
    return numbers and all(end is not None and end.axes == result.axes for end in ends)


def of_two_groups(result: Result) -> bool:
    """Whether it is the difference of two groups of rows, which has a test in place of an interval."""
    found = result.extra.get("p_family")
    return found is not None and found.axes == result.axes and not has_intervals(result)


def rounding_of(result: Result) -> float | None:
    """How far from the neutral value rounding alone may put an entry; None where it was not measured."""
    found = result.extra.get(ROUNDING_EXTRA)
    numbers = result.values.dtype != object and result.values.size > 0
    lone = found is not None and found.values.size == 1 and found.values.dtype != object
    return float(found.values.reshape(-1)[0]) if found is not None and numbers and lone else None


def can_be_unsure(result: Result) -> bool:
    """Whether anything is known by which an entry may be marked."""
    return has_intervals(result) or of_two_groups(result) or rounding_of(result) is not None


def unsure_entries(result: Result) -> np.ndarray:
    """A bool an entry, in the shape of ``values``: its interval contains the neutral value, two groups are
    not told apart there, or it is no further from it than rounding may put it.

    All False where neither is known, and where values have no other side to be on: of scores,
    probabilities and sizes the interval says how large, not whether.
    """
    if of_two_groups(
        result
    ):  # a difference has two sides, whatever it is of; untested is not told apart
        return np.asarray(~(result.extra["p_family"].values < SURE))
    known = ANALYSES.get(result.analysis)
    one_sided = known is not None and known.scale_with(result.params) != "diverging"
    if one_sided or not can_be_unsure(result):
        return np.zeros(result.values.shape, dtype=bool)
    if has_intervals(result):
        low, high = (result.extra[name].values.astype(np.float64) for name in ("low", "high"))
        return (low <= result.neutral) & (result.neutral <= high)  # NaN, no interval, is neither
    apart = np.abs(result.values.astype(np.float64) - result.neutral)
    return np.asarray(apart <= (rounding_of(result) or 0.0))  # nor is NaN here


def unsure_words(result: Result) -> str:
    """What the mark says."""
    if of_two_groups(result):
        return f"not told apart: p ≥ {SURE:g} over all cells together"
    rounding = rounding_of(result)
    if has_intervals(result) or rounding is None:
        return f"the interval contains {result.neutral:g}"
    return f"within {rounding:.2g} of {result.neutral:g}, as far as rounding puts this prompt from itself"
