"""The entries of an array that stand out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from interpboard.errors import BadParameter
from interpboard.results.arrays import Labelled, names_of
from interpboard.results.labels import visible_label

Order = Literal["magnitude", "highest", "lowest"]
_SAME = 1e-6
"""Of the largest: as far as single precision leaves equal numbers from each other."""


@dataclass(frozen=True)
class Entry:
    """One entry: where it stands (label and index by name of axis), and its value."""

    labels: Mapping[str, str]
    index: Mapping[str, int]
    value: float

    def __repr__(self) -> str:
        where = " ".join(
            f"{name} {visible_label(name, label)}" for name, label in self.labels.items()
        )
        return f"<{where}: {self.value:+.4g}>"


def top_entries(array: Labelled, k: int, by: Order, neutral: float = 0.0) -> list[Entry]:
    """At most ``k`` entries, the first in the order ``by`` first; magnitude is the distance from
    ``neutral``. Entries that differ by rounding alone stand in the order of the axes, so that it does not
    hang on the processor. NaN is passed over.

    Raises ``BadParameter`` for an unknown order, a negative ``k``, and values that are text.
    """
    if by not in ("magnitude", "highest", "lowest"):
        raise BadParameter(
            f"There is no order {by!r}.", "Use by='magnitude', 'highest' or 'lowest'."
        )
    if k < 0:
        raise BadParameter(f"Cannot give the top {k}.", "Use k=0 or more.")
    if array.values.dtype == object:
        raise BadParameter("These values are text and have no order.")
    values = array.values.reshape(-1).astype(np.float64)
    rank = {"magnitude": -np.abs(values - neutral), "highest": -values, "lowest": values}[by]
    order = [int(i) for i in steady_order(rank) if not np.isnan(values[i])]
    return [_entry(array, i, float(values[i])) for i in order[:k]]


def steady_order(rank: np.ndarray) -> np.ndarray:
    """The indices by ascending ``rank``; those whose neighbours in it are within rounding as they came."""
    order = np.argsort(rank, kind="stable")
    ranked = rank[order]
    finite = np.abs(ranked[np.isfinite(ranked)])
    step = _SAME * float(finite.max(initial=0.0))
    with np.errstate(invalid="ignore"):  # of infinities, and of NaN, which is last
        apart = ~(np.diff(ranked, prepend=ranked[:1]) <= step)
    return order[np.lexsort((order, np.cumsum(apart)))]


def _entry(array: Labelled, flat: int, value: float) -> Entry:
    where = [int(i) for i in np.unravel_index(flat, array.values.shape)]
    names = names_of(array.axes)
    labels = [axis.labels[i] for axis, i in zip(array.axes, where, strict=True)]
    return Entry(dict(zip(names, labels, strict=True)), dict(zip(names, where, strict=True)), value)
