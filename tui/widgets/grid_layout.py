"""Where the cells of a grid are: how many are in sight, and how far it scrolls. Whole cells only. Pure.

A grid that scrolled to any column of the terminal would show parts of cells, and its last ones never.
"""

from __future__ import annotations

from dataclasses import dataclass

NUMBER_WIDTHS = (6, 5, 4, 3, 2, 1)
MARKED_WIDTHS = (8, 7)  # of numbers with a letter in front, a space on either side of it
WORD_WIDTHS = (7, 16)  # at least, at most
_LEAST_LABEL = 2


@dataclass(frozen=True)
class Layout:
    """``label`` columns of row labels and ``header`` lines above ``rows`` × ``columns`` cells of one size."""

    rows: int
    columns: int
    header: int = 1
    label: int = 0
    width: int = 1
    height: int = 1
    bar: int = 1  # lines of the scrollbar below; 0 where lines are too few for one

    def columns_in(self, space: int) -> int:
        """Whole columns in ``space`` terminal columns; one where there is no room for it."""
        return max(1, min(self.columns, (space - self.label) // self.width))

    def rows_in(self, space: int) -> int:
        """Whole rows in ``space`` lines; one where there is no room for it."""
        return max(1, min(self.rows, (space - self.header) // self.height))

    @property
    def full_width(self) -> int:
        """Labels and all cells."""
        return self.label + self.columns * self.width

    @property
    def full_height(self) -> int:
        """Header and all rows."""
        return self.header + self.rows * self.height

    def beside_bars(self, wide: int, high: int) -> tuple[int, int]:
        """Columns and lines that are left of a view beside the scrollbars that it needs."""
        below = self.bar * (self.full_width > wide)
        right = self.full_height > high - below
        below = self.bar * (self.full_width > wide - right)
        return wide - right, high - below

    def most_scrolled(self, wide: int, high: int) -> tuple[int, int]:
        """How far it scrolls: a whole number of cells, so that the last ones are in sight."""
        columns, rows = self.columns - self.columns_in(wide), self.rows - self.rows_in(high)
        return columns * self.width, rows * self.height

    def virtual_size(self, wide: int, high: int) -> tuple[int, int]:
        """What a view of ``wide`` columns and ``high`` lines scrolls over."""
        right, down = self.most_scrolled(wide, high)
        return (
            wide + right if right else min(wide, self.full_width),
            high + down if down else min(high, self.full_height),
        )

    def columns_seen(self, scrolled: int, space: int) -> range:
        """The columns in sight, wherever it is scrolled to."""
        count = self.columns_in(space)
        first = max(0, min(scrolled // self.width, self.columns - count))
        return range(first, first + count)

    def rows_seen(self, scrolled: int, space: int) -> range:
        """The rows in sight."""
        count = self.rows_in(space)
        first = max(0, min(scrolled // self.height, self.rows - count))
        return range(first, first + count)


def shown_around(at: int, seen: range) -> int:
    """The first of as many as are ``seen``, so that ``at`` is among them."""
    return min(max(seen.start, at - len(seen) + 1), at)


def label_width(longest: int, cell: int, space: int) -> int:
    """Columns for row labels and the space behind them; what leaves no room for a cell is cut."""
    return min(longest + 1, max(_LEAST_LABEL, space - cell)) if longest else 1


def number_width(columns: int, room: int, *, marked: bool, most: int = MARKED_WIDTHS[0]) -> int:
    """The widest cell of a number, at most ``most``, with which all ``columns`` fit into ``room``."""
    widths = (*MARKED_WIDTHS, *NUMBER_WIDTHS) if marked else NUMBER_WIDTHS
    return next((width for width in widths if width <= most and width * columns <= room), 1)


def word_width(columns: int, room: int) -> int:
    """A word has at least 7 columns, unless there are no more."""
    low, high = WORD_WIDTHS
    return max(1, min(max(low, min(high, room // max(1, columns))), room))
