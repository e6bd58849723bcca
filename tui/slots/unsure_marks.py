"""Cells that may be no effect, as panes mark them, and how that is said in few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from interpboard.results import Result


def unsure_marks(result: Result | None, shape: tuple[int, ...]) -> np.ndarray | None:
    """Which cells of a grid of that ``shape``, which may have further columns, are no further from no effect
    than rounding alone may put them. None: no cell is, or it was not measured."""
    import numpy as np

    from interpboard.results.intervals import unsure_entries

    if result is None:
        return None
    unsure = unsure_entries(result)
    if not unsure.any():
        return None
    marks = np.zeros(shape, dtype=bool)
    marks[:, : unsure.shape[1]] = unsure
    return marks


def rounding_words(result: Result | None, *, marked: bool) -> str:
    """``  ? within 0.13 is rounding`` where a cell has the mark; else empty."""
    from interpboard.results.intervals import UNSURE, rounding_of

    rounding = rounding_of(result) if result is not None and marked else None
    return "" if rounding is None else f"  {UNSURE} within {rounding:.2g} is rounding"
