"""The heat grid: rows × columns of numbers or words on the nine-level scale, with a cell cursor.

Headers stay in sight while the cells scroll under them. Cells are as wide as the space allows, from
six columns down to one; the narrower, the less is written and the more the colour says. Where there
is no colour, the sign is written at every width. Not computed yet is ``·``, an estimate has a ``~``, and what
has a ``?`` has no colour: its sign is not known. No cell is ever cut: those in sight are whole ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.widget import Widget

from interpboard.display import fit
from tui.terminal.sizes import GRID_NUMBERS
from tui.theme import cursor_style, level_style
from tui.widgets.cells import CursorPlace, SearchCell
from tui.widgets.cursor_view import CursorView, step
from tui.widgets.grid_cell import cell_text, in_place, more_columns
from tui.widgets.grid_data import GridData
from tui.widgets.grid_layout import Layout, label_width, number_width, shown_around, word_width


class HeatGrid(CursorView):
    """Shows a ``GridData``. The cursor is ``(row, column)``."""

    cursor: reactive[tuple[int, int]] = reactive((0, 0), repaint=False, init=False)

    def __init__(self, moved: Callable[[], None], *, id: str | None = None) -> None:
        super().__init__(moved, id=id)
        self.data: GridData | None = None
        self.layout_of_cells = Layout(0, 0)

    def show(self, data: GridData | None, cursor: tuple[int, int] | None = None) -> None:
        """Show ``data``; repaint changed rows only if nothing but values changed."""
        old, self.data = self.data, data
        if data is None:
            if old is not None:
                self.refresh(layout=True)
            return
        (rows, columns), at = data.values.shape, cursor or self.cursor
        self.set_reactive(HeatGrid.cursor, (min(at[0], rows - 1), min(at[1], columns - 1)))
        if old is not None and old.same_frame(data):
            for row in range(rows):
                if old.row(row) != data.row(row):
                    self._refresh_row(row)
            return
        self.measure()
        self.reveal()
        self.refresh(layout=old is None or old.values.shape != data.values.shape)

    # -- sizes ------------------------------------------------------------------------------------

    @property
    def exponent(self) -> int:
        """The power of ten that its numbers share."""
        return self.data.exponent if self.data is not None else 0

    @property
    def header_width(self) -> int:
        """Columns of the row labels."""
        return self.layout_of_cells.label

    @property
    def cell_width(self) -> int:
        """Columns of a cell."""
        return self.layout_of_cells.width

    @property
    def cell_height(self) -> int:
        """Lines of a cell."""
        return self.layout_of_cells.height

    @property
    def headers(self) -> int:
        """Lines above the cells."""
        return 2 if self.data is not None and self.data.second else 1

    @property
    def columns_seen(self) -> range:
        """The columns in sight, all of them whole."""
        return self.layout_of_cells.columns_seen(self.scroll_offset.x, self.space[0])

    @property
    def rows_seen(self) -> range:
        """The rows in sight, all of them whole."""
        return self.layout_of_cells.rows_seen(self.scroll_offset.y, self.space[1])

    @property
    def space(self) -> tuple[int, int]:
        """Columns and lines to draw in. Not what Textual says: its scrollbars come a layout later."""
        return self.layout_of_cells.beside_bars(*self.size)

    @property
    def max_scroll_x(self) -> int:
        """Scrolling ends with the last column, a whole number of cells from the first."""
        return self.layout_of_cells.most_scrolled(*self.space)[0]

    @property
    def max_scroll_y(self) -> int:
        """And with the last row."""
        return self.layout_of_cells.most_scrolled(*self.space)[1]

    def line_count(self, width: int) -> int:
        """Header lines and the rows."""
        return self.layout_of_cells.full_height if self.data else 0

    def measure(self) -> None:
        """Choose the cells' size for the space there is."""
        before = self.layout_of_cells
        # The space is the parent's: the grid's own is only as high as it asked for.
        self._fit(self.parent.content_size if isinstance(self.parent, Widget) else Size(0, 0))
        if before != self.layout_of_cells:
            self.refresh(layout=before.height != self.cell_height)
        if self.data is None:
            super().measure()
            return
        size = Size(*self.layout_of_cells.virtual_size(*self.space))
        if size != self.virtual_size:
            self.virtual_size = size

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Asked for before the first paint of a size, so that it is right at once."""
        self._fit(container.with_width(width))
        if self.data is None:
            return 0
        scrolls = self.layout_of_cells.columns_in(width) < len(self.data.columns)
        return self.layout_of_cells.full_height + scrolls * self._bar

    def _fit(self, space: Size) -> None:
        if self.data is None or not space:
            return
        data = self.data
        rows, columns = len(data.rows), len(data.columns)
        tall = data.notes is not None and 3 * rows + 3 <= space.height  # room for the rest too
        high = 2 if tall or data.below is not None else 1
        wide = space.width - (self.headers + high * rows > space.height)  # beside a scrollbar
        longest = max(map(cell_len, data.rows), default=0)
        numbers = data.words is None
        label = label_width(longest, 1 if numbers else word_width(columns, 7), wide)
        room = max(1, wide - label)
        # Else colours say it, and the readout.
        most = 8 if self.app.size.width >= GRID_NUMBERS else 2
        width = (
            number_width(columns, room, marked=data.badges is not None, most=most)
            if numbers
            else word_width(columns, room)
        )
        self.layout_of_cells = Layout(rows, columns, self.headers, label, width, high, self._bar)

    @property
    def _bar(self) -> int:
        """Lines of the scrollbar below."""
        return int(self.styles.scrollbar_size_horizontal)

    # -- drawing ----------------------------------------------------------------------------------

    def draw_line(self, line: int) -> list[Segment]:
        """The header, or one line of cells."""
        data = self.data
        if data is None:
            return []
        if line < self.headers:
            return self._header(data, data.columns if line == 0 else data.second)
        seen = self.rows_seen
        below, part = divmod(line - self.headers, self.cell_height)
        if below >= len(seen):
            return []  # the place of a part of a row
        row = seen[below]
        at_cursor = self.has_focus and row == self.cursor[0]
        style = self.inks.style("text" if at_cursor else "muted", bold=at_cursor)
        label = data.rows[row] if part == 0 else "→" if data.below is not None else ""
        room = self.header_width - 1
        label = fit(label, room) if cell_len(label) > room else label
        segments = [Segment(" " * (room - cell_len(label)) + label + " ", style)]
        for column in self.columns_seen:
            shown = data.below if part == 1 and data.below is not None else data
            segments += self._cell(shown, row, column, 0 if shown is not data else part)
        return in_place(segments)

    def _header(self, data: GridData, labels: tuple[str, ...]) -> list[Segment]:
        width, muted = self.cell_width, self.inks.style("muted")
        corner = " " * self.header_width
        if labels is data.columns and not self._bar:
            corner = more_columns(self.columns_seen, len(data.columns), self.header_width)
        segments = [Segment(corner, muted)]
        if data.words is None and width < 4:
            every = -(-min(8, max(cell_len(label) + 1 for label in labels)) // width)
            shown = self.columns_seen
            cells = [
                f"{fit(labels[c], width * every - 1)} "
                for c in shown[:: max(1, every)]
                if c < len(labels)
            ]
            return [*segments, Segment("".join(cells)[: width * len(shown)], muted)]
        for column in self.columns_seen:
            label = labels[column] if column < len(labels) else ""
            if data.words is None and cell_len(label) < width:
                text = " " * (width - cell_len(label)) + label
            else:
                text = f" {fit(label, width - 1)}"
            differs = labels is not data.columns and label != data.columns[column]
            style = self.inks.style("accent", bold=True) if differs else muted
            segments.append(Segment(text, style))
        return in_place(segments)

    def _cell(self, data: GridData, row: int, column: int, part: int) -> list[Segment]:
        value = float(data.values[row, column])
        level = data.scale.level(value)
        dark = self.inks.dark
        if (row, column) == self.cursor:
            if self.has_focus:
                style = cursor_style(dark)
            else:
                style = level_style(level, dark) + Style(bold=True, underline=True)
        elif math.isnan(value) or data.mark(row, column) == "?":
            style = self.inks.style("muted")
        else:
            style = level_style(level, dark)
            if data.marked is not None and data.marked[row, column] and part == 0:
                style += Style(bold=True)
        if (row, column) in data.noted and part == 0:
            style += Style(underline=True)
        text = cell_text(
            data, (row, column), self.cell_width, line=part, letters_only=self.monochrome
        )
        return [Segment(text, style)]

    # -- the cursor -------------------------------------------------------------------------------

    def cells(self, around: CursorPlace) -> Sequence[SearchCell]:
        """Names and words of cells, then the headers, then both headers of each cell."""
        return self.data.cells(around) if self.data is not None else ()

    def beyond(self, query: str) -> Sequence[SearchCell]:
        """Of words, those behind the one that is shown."""
        return self.data.beyond(query) if self.data is not None else ()

    def move_cursor(self, how: str) -> None:
        """Move by cell; g and G keep the column, 0 and $ the row."""
        if self.data is None:
            return
        (row, column), (rows, columns) = self.cursor, self.data.values.shape
        page = max(1, len(self.rows_seen) // 2)
        row = step(how, row, rows, page)
        ways = {"left": column - 1, "right": column + 1, "home": 0, "end": columns - 1}
        self.cursor = (row, max(0, min(columns - 1, ways.get(how, column))))

    def point(self, x: int, y: int) -> None:
        """Click on a cell."""
        if self.data is None or y < self.headers or x < self.header_width:
            return
        below = (y - self.headers) // self.cell_height
        right = (x - self.header_width) // self.cell_width
        rows, columns = self.rows_seen, self.columns_seen
        if below < len(rows) and right < len(columns):
            self.cursor = (rows[below], columns[right])

    def watch_cursor(self, old: tuple[int, int], new: tuple[int, int]) -> None:
        """The user moved it."""
        if old != new:
            self._moved_from(old, new)
            self.moved()

    def put(self, cursor: tuple[int, int]) -> bool:
        """Put the cursor where another pane's is, as far as there is such a cell; did it move?"""
        if self.data is None:
            return False
        rows, columns = self.data.values.shape
        old, new = (
            self.cursor,
            (max(0, min(cursor[0], rows - 1)), max(0, min(cursor[1], columns - 1))),
        )
        if old == new:
            return False
        self.set_reactive(HeatGrid.cursor, new)
        self._moved_from(old, new)
        return True

    def _moved_from(self, old: tuple[int, int], new: tuple[int, int]) -> None:
        """Two cells change, and the labels of two rows."""
        self.reveal()
        self._refresh_cell(*old)
        self._refresh_cell(*new)
        if old[0] != new[0]:
            for row in (old[0], new[0]):
                self.refresh(Region(0, self._line(row), self.header_width, 1))

    def reveal(self) -> None:
        """Scroll by whole cells until the cursor is in sight."""
        if self.data is None or self.size.width == 0:
            return
        row, column = self.cursor
        x = shown_around(column, self.columns_seen) * self.cell_width
        y = shown_around(row, self.rows_seen) * self.cell_height
        if (x, y) != self.scroll_offset:
            self.scroll_to(x, y, animate=False, force=True)

    def refresh_cursor(self) -> None:
        """The cursor's cell and its row label."""
        if self.data is not None:
            self._refresh_cell(*self.cursor)
            self.refresh(Region(0, self._line(self.cursor[0]), self.header_width, 1))

    def _line(self, row: int) -> int:
        return self.headers + (row - self.rows_seen.start) * self.cell_height

    def _refresh_cell(self, row: int, column: int) -> None:
        x = self.header_width + (column - self.columns_seen.start) * self.cell_width
        self.refresh(Region(x, self._line(row), self.cell_width, self.cell_height))

    def _refresh_row(self, row: int) -> None:
        self.refresh(Region(0, self._line(row), self.size.width, self.cell_height))
