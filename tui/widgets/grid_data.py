"""What a heat grid shows, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from interpboard.display import visible_token
from tui.widgets.cells import CursorPlace, SearchCell, fitting_cells, token_cells

if TYPE_CHECKING:
    import numpy as np

    from interpboard.visualization.colors import Scale


@dataclass(frozen=True, eq=False)
class GridData:
    """What a grid shows. ``values`` [row, column] give the colour; ``words`` the text, if any.

    ``notes`` is a second line in each cell where there is height for it; ``below`` is another grid of
    words, drawn as every row's second line. ``estimated`` cells wait for an exact value,
    of ``unsure`` ones not even the sign is known, ``marked`` ones are bold, ``off`` ones switched off.
    ``badges`` are letters of cells, in a column of
    their own in front of the numbers where there is room; None: this grid has none, now or later. Labels
    and words are already harmless to show. A search finds cells by their ``names`` too, rows by
    ``row_names`` where their labels are cut, and the ``ranked`` words behind the one that a cell shows.
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
    unsure: np.ndarray | None = None
    off: frozenset[tuple[int, int]] = frozenset()
    badges: Mapping[tuple[int, int], str] | None = None
    noted: frozenset[tuple[int, int]] = frozenset()  # underlined: there is a note on what it is of
    absent: str = "·"  # what stands for NaN
    second: tuple[str, ...] = ()  # labels under the columns' own; where they differ they are bold

    names: Mapping[tuple[int, int], tuple[str, ...]] = field(default_factory=dict)
    row_names: tuple[str, ...] = ()
    ranked: np.ndarray | None = None  # [row, column, rank] words, of which the first one is shown

    @cached_property
    def exponent(self) -> int:
        """The power of ten that the numbers share: what is written times that is the value."""
        from interpboard.visualization.numbers import exponent_of

        written = self.words is None and not self.scale.of_shares
        return exponent_of(self.values) if written else 0

    def mark(self, row: int, column: int) -> str:
        """What stands before the number of a cell: ``~`` an estimate, ``?`` one whose sign is not known."""
        if self.estimated is not None and self.estimated[row, column]:
            return "~"
        return "?" if self.unsure is not None and self.unsure[row, column] else ""

    def cells(self, around: CursorPlace) -> Sequence[SearchCell]:
        """What a search finds, headers in the row or column of ``around``."""
        rows, columns = range(len(self.rows)), range(len(self.columns))
        found = [SearchCell(at, names) for at, names in self.names.items()]
        for grid in (self, self.below):
            if grid is not None and grid.words is not None:
                found += [
                    SearchCell((r, c), (str(grid.words[r, c]),)) for r in rows for c in columns
                ]
        for labels in (self.columns, self.second):
            found += token_cells(
                labels, [self._in_column(c, around) for c in range(len(labels))], tier=1
            )
        for labels in (self.rows, self.row_names):
            found += [
                SearchCell(self._in_row(r, around), (label,), tier=1)
                for r, label in enumerate(labels)
            ]
        found += [
            SearchCell((r, c), (f"{self.rows[r]} {self.columns[c]}",), tier=2)
            for r in rows
            for c in columns
        ]
        return found

    def beyond(self, query: str) -> Sequence[SearchCell]:
        """The cells in which a word of a later rank fits, with the rank."""
        import numpy as np

        if self.ranked is None:
            return ()
        words, which = np.unique(self.ranked.astype(str), return_inverse=True)
        names = [SearchCell(at, (str(word),)) for at, word in enumerate(words)]
        fits = [cell.place for cell in fitting_cells(names, query)]
        places = np.argwhere(np.isin(which.reshape(self.ranked.shape)[:, :, 1:], fits))
        first: dict[CursorPlace, SearchCell] = {}
        for row, column, rank in places.tolist():
            word = visible_token(str(self.ranked[row, column, rank + 1]))
            note = f"{word} is number {rank + 2} there"
            first.setdefault((row, column), SearchCell((row, column), (word,), note=note))
        return list(first.values())

    def _in_row(self, row: int, around: CursorPlace) -> CursorPlace:
        """The cell of ``row`` in the column of ``around``, or the nearest before it that has a number."""
        return (row, self._with_a_number(self.values[row], around[1], -1))

    def _in_column(self, column: int, around: CursorPlace) -> CursorPlace:
        return (self._with_a_number(self.values[:, column], around[0], 1), column)

    def _with_a_number(self, values: np.ndarray, at: int, by: int) -> int:
        """``at``; where there never is a number, ``absent`` a space, the nearest place that has one."""
        known = [i for i in range(len(values)) if values[i] == values[i]]
        onward = [i for i in known if (i - at) * by >= 0]
        if self.absent != " " or not onward:
            return at
        return min(onward) if by > 0 else max(onward)

    def same_frame(self, other: GridData) -> bool:
        """Do only values differ, so that rows can be repainted one by one?"""
        return (
            (self.rows, self.columns, self.scale, self.off, self.second, self.badges, self.noted)
            == (
                other.rows,
                other.columns,
                other.scale,
                other.off,
                other.second,
                other.badges,
                other.noted,
            )
            and self.exponent == other.exponent
            and self.words is None
            and other.words is None
        )

    def row(self, row: int) -> tuple[bytes, ...]:
        """All that a row shows of numbers, to see whether it changed."""
        marks = (self.estimated, self.marked, self.unsure)
        return (
            self.values[row].tobytes(),
            *(b"" if each is None else each[row].tobytes() for each in marks),
        )
