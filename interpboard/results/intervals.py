"""Which entries of a result may be no effect at all: their interval contains the neutral value or rows are
too few for one, a test does not tell two groups of rows apart, or they are no further from it than one
prompt's metric is from itself.

Every view marks them by the same rule: a question mark where there are characters, hatching where there are
colours.
"""

from __future__ import annotations

import numpy as np

from interpboard.registry import ANALYSES
from interpboard.results.result import Result

UNSURE = "?"
SURE = 0.05  # a p-value under it, over all cells together, tells two groups of rows apart
TOO_FEW = "rows are too few for an interval"
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
    """A bool an entry, in the shape of ``values``: its interval contains the neutral value or is not known,
    two groups are not told apart there, or it is no further from it than rounding may put it.

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
        return _within(result) | without_interval(result)
    apart = np.abs(result.values.astype(np.float64) - result.neutral)
    return np.asarray(apart <= (rounding_of(result) or 0.0))  # nor is NaN here


def without_interval(result: Result) -> np.ndarray:
    """A bool an entry: it has a value and, as a mean of one row, no interval. Of what has intervals."""
    ends = [result.extra[name].values.astype(np.float64) for name in ("low", "high")]
    unknown = np.isnan(ends[0]) | np.isnan(ends[1])
    return np.asarray(unknown & ~np.isnan(result.values.astype(np.float64)))


def _within(result: Result) -> np.ndarray:
    low, high = (result.extra[name].values.astype(np.float64) for name in ("low", "high"))
    return np.asarray((low <= result.neutral) & (result.neutral <= high))  # NaN is neither


def unsure_words(result: Result) -> str:
    """What the mark says."""
    if of_two_groups(result):
        return f"not told apart: p ≥ {SURE:g} over all cells together"
    rounding = rounding_of(result)
    if has_intervals(result) or rounding is None:
        contains = f"the interval contains {result.neutral:g}"
        if not has_intervals(result) or not without_interval(result).any():
            return contains
        return f"{contains}, or {TOO_FEW}" if _within(result).any() else TOO_FEW
    return f"within {rounding:.2g} of {result.neutral:g}, as far as rounding puts this prompt from itself"
