"""What a result knows that was stopped before its end: which cells are computed, and how to go on from there.

A *cell* is one counterfactual of an analysis: a head that is ablated, a state that is restored. ``Cells``
are metric values by the number at which the analysis asks for them, which is the same each time the same is
asked of the same model; ``request`` says of what. Nothing is taken over into another request.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from interpboard.results.arrays import LabelledArray


class Cells(msgspec.Struct, frozen=True, eq=False):
    """Computed cells of one request: its fingerprint, and for each cell [cell] its number (ascending), a mark
    of what was edited there, and the metric."""

    request: str
    numbers: np.ndarray
    marks: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def __bool__(self) -> bool:
        return len(self) > 0


class Partial(msgspec.Struct, frozen=True, eq=False):
    """``done`` of ``of`` cells are computed, called ``unit`` in the plural. ``cells``: what to go on from."""

    done: int
    of: int
    unit: str
    cells: Cells | None = None

    def __str__(self) -> str:
        return f"{self.done:,} of {self.of:,} {self.unit}"


def joined_cells(known: Cells | None, more: Sequence[Cells]) -> Cells | None:
    """``known`` and ``more``, each cell once; what is of another request than the newest is left out."""
    parts = [*([known] if known is not None else []), *more]
    parts = [part for part in parts if part.request == parts[-1].request]
    if len(parts) < 2:
        return parts[0] if parts else None
    numbers, first = np.unique(np.concatenate([part.numbers for part in parts]), return_index=True)
    marks = np.concatenate([part.marks for part in parts])[first]
    return Cells(
        parts[-1].request, numbers, marks, np.concatenate([part.values for part in parts])[first]
    )


def joined_arrays(before: LabelledArray | None, more: LabelledArray) -> LabelledArray:
    """What two that compute the same have of it so far: exact values first, then estimates, then NaN."""
    if before is None or before.axes != more.axes:
        return more
    exact = ~np.isnan(exact_only(more).values)
    taken = exact | (np.isnan(exact_only(before).values) & ~np.isnan(more.values))
    values = np.where(taken, more.values, before.values)
    marks = [
        array.estimated if array.estimated is not None else np.zeros(values.shape, bool)
        for array in (more, before)
    ]
    estimated = np.where(taken, *marks)
    return LabelledArray(more.axes, values, estimated if estimated.any() else None)


def exact_only(array: LabelledArray) -> LabelledArray:
    """``array`` without what is estimated in it: NaN there."""
    if array.estimated is None:
        return array
    return LabelledArray(array.axes, np.where(array.estimated, np.nan, array.values))


def computed(array: LabelledArray) -> int:
    """How many exact values ``array`` has."""
    return int((~np.isnan(exact_only(array).values)).sum())
