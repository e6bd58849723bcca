"""What a heat grid shows, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from interpboard.visualization.colors import Scale


@dataclass(frozen=True, eq=False)
class GridData:
    """What a grid shows. ``values`` [row, column] give the colour; ``words`` the text, if any.

    ``notes`` is a second line in each cell where there is height for it; ``below`` is another grid of
    words, drawn as every row's second line. ``estimated`` cells wait for an exact value,
    ``marked`` ones are bold, ``off`` ones switched off. ``badges`` are letters of cells, in a column of
    their own in front of the numbers where there is room; None: this grid has none, now or later. Labels
    and words are already harmless to show.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    scale: Scale
    words: np.ndarray | None = None
    notes: np.ndarray | None = None
    marked: np.ndarray | None = None
    below: GridData | None = None
    estimated: np.ndarray | None = None
    off: frozenset[tuple[int, int]] = frozenset()
    badges: Mapping[tuple[int, int], str] | None = None
    absent: str = "·"  # what stands for NaN
    second: tuple[str, ...] = ()  # labels under the columns' own; where they differ they are bold

    @cached_property
    def exponent(self) -> int:
        """The power of ten that the numbers share: what is written times that is the value."""
        from interpboard.visualization.numbers import exponent_of

        written = self.words is None and not self.scale.of_shares
        return exponent_of(self.values) if written else 0

    def same_frame(self, other: GridData) -> bool:
        """Do only values differ, so that rows can be repainted one by one?"""
        return (
            (self.rows, self.columns, self.scale, self.off, self.second, self.badges)
            == (other.rows, other.columns, other.scale, other.off, other.second, other.badges)
            and self.exponent == other.exponent
            and self.words is None
            and other.words is None
        )

    def row(self, row: int) -> tuple[bytes, ...]:
        """All that a row shows of numbers, to see whether it changed."""
        marks = (self.estimated, self.marked)
        return (
            self.values[row].tobytes(),
            *(b"" if each is None else each[row].tobytes() for each in marks),
        )
