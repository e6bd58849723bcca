"""Which entries of a result may be no effect at all: their interval contains the neutral value.

Every view marks them by the same rule: a question mark where there are characters, hatching where there are
colours.
"""

from __future__ import annotations

import numpy as np

from interpboard.registry import ANALYSES
from interpboard.results.result import Result

UNSURE = "?"


def has_intervals(result: Result) -> bool:
    """Whether each entry has one: ``low`` and ``high`` over the same axes."""
    ends = [result.extra.get(name) for name in ("low", "high")]
    numbers = result.values.dtype != object and result.values.size > 0
    return numbers and all(end is not None and end.axes == result.axes for end in ends)


def unsure_entries(result: Result) -> np.ndarray:
    """A bool an entry, in the shape of ``values``: its interval contains the neutral value.

    All False where there are no intervals, and where values have no other side to be on: of scores,
    probabilities and sizes the interval says how large, not whether.
    """
    known = ANALYSES.get(result.analysis)
    one_sided = known is not None and known.scale_with(result.params) != "diverging"
    if one_sided or not has_intervals(result):
        return np.zeros(result.values.shape, dtype=bool)
    low, high = (result.extra[name].values.astype(np.float64) for name in ("low", "high"))
    return (low <= result.neutral) & (result.neutral <= high)  # NaN, no interval, is neither


def unsure_words(result: Result) -> str:
    """What the mark says."""
    return f"the interval contains {result.neutral:g}"
