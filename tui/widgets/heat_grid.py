"""The heat grid: rows × columns of numbers or words on the nine-level scale, with a cell cursor.

Headers stay in sight while the cells scroll under them. Cells are as wide as the space allows, from
six columns down to one; the narrower, the less is written and the more the colour says. Where there
is no colour, the sign is written at every width. Not computed yet is ``·``, an estimate has a ``~``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.widget import Widget

from interpboard.display import fit
from tui.theme import cursor_style, level_style
from tui.widgets.cursor_view import CursorView, step
from tui.widgets.grid_data import GridData

NUMBER_WIDTHS = (6, 5, 4, 3, 2, 1)
WORD_WIDTHS = (7, 16)  # at least, at most
GLYPHS = " ▁▂▃▄▅▆▇█"


class HeatGrid(CursorView):
    """Shows a ``GridData``. The cursor is ``(row, column)``."""

    cursor: reactive[tuple[int, int]] = reactive((0, 0), repaint=False, init=False)

    def __init__(self, moved: Callable[[], None], *, id: str | None = None) -> None:
        super().__init__(moved, id=id)
        self.data: GridData | None = None
        self.cell_width, self.cell_height = 1, 1

    def show(self, data: GridData | None, cursor: tuple[int, int] | None = None) -> None:
        """Show ``data``; repaint changed rows only if nothing but values changed."""
        old, self.data = self.data, data
        if data is None:
            self.refresh(layout=True)
            return
        rows, columns = data.values.shape
        at = cursor or self.cursor
        self.set_reactive(HeatGrid.cursor, (min(at[0], rows - 1), min(at[1], columns - 1)))
        if old is not None and old.same_frame(data):
            for row in range(rows):
                if old.row(row) != data.row(row):
                    self._refresh_row(row)
            return
        self.measure()
        self.reveal()
        same_shape = old is not None and old.values.shape == data.values.shape
        self.refresh(layout=not same_shape)

    # -- sizes ------------------------------------------------------------------------------------

    @property
    def header_width(self) -> int:
        """Columns of the row labels."""
        return max(map(cell_len, self.data.rows), default=0) + 1 if self.data else 0

    @property
    def headers(self) -> int:
        """Lines above the cells."""
        return 2 if self.data is not None and self.data.second else 1

    def content_width(self) -> int:
        """Labels and cells."""
        if self.data is None:
            return 0
        return self.header_width + self.cell_width * len(self.data.columns)

    def line_count(self, width: int) -> int:
        """Header lines and the rows."""
        return self.headers + len(self.data.rows) * self.cell_height if self.data else 0

    def measure(self) -> None:
        """Choose the cells' size for the space there is."""
        before = self.cell_width, self.cell_height
        # The space is the parent's: the grid's own is only as high as it asked for.
        self._fit(self.parent.content_size if isinstance(self.parent, Widget) else Size(0, 0))
        if before != (self.cell_width, self.cell_height):
            self.refresh(layout=before[1] != self.cell_height)
        super().measure()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Asked for before the first paint of a size, so that it is right at once."""
        self._fit(container.with_width(width))
        return super().get_content_height(container, viewport, width)

    def _fit(self, space: Size) -> None:
        if self.data is None or not space:
            return
        rows, columns = max(1, len(self.data.rows)), max(1, len(self.data.columns))
        room = max(1, space.width - self.header_width)
        tall = self.data.notes is not None and 3 * rows + 3 <= space.height  # room for the rest too
        self.cell_height = 2 if tall or self.data.below is not None else 1
        if self.data.words is None:
            self.cell_width = next((w for w in NUMBER_WIDTHS if w * columns <= room), 1)
        else:
            low, high = WORD_WIDTHS
            self.cell_width = max(low, min(high, room // columns))

    # -- drawing ----------------------------------------------------------------------------------

    def draw_line(self, line: int) -> list[Segment]:
        """The header, or one line of cells."""
        data = self.data
        if data is None:
            return []
        if line < self.headers:
            return self._header(data, data.columns if line == 0 else data.second)
        row, part = divmod(line - self.headers + self.scroll_offset.y, self.cell_height)
        if row >= len(data.rows):
            return []
        at_cursor = self.has_focus and row == self.cursor[0]
        style = self.inks.style("text" if at_cursor else "muted", bold=at_cursor)
        label = data.rows[row] if part == 0 else "→" if data.below is not None else ""
        segments = [Segment(" " * (self.header_width - 1 - cell_len(label)) + label + " ", style)]
        for column in self._columns_in_sight(data):
            shown = data.below if part == 1 and data.below is not None else data
            segments += self._cell(shown, row, column, 0 if shown is not data else part)
        return segments

    def _columns_in_sight(self, data: GridData) -> range:
        first = self.scroll_offset.x // self.cell_width
        count = -(-max(0, self.size.width - self.header_width) // self.cell_width)
        return range(first, min(len(data.columns), first + count))

    def _header(self, data: GridData, labels: tuple[str, ...]) -> list[Segment]:
        width, muted = self.cell_width, self.inks.style("muted")
        segments = [Segment(" " * self.header_width, muted)]
        if data.words is None and width < 4:
            every = -(-min(8, max(cell_len(label) + 1 for label in labels)) // width)
            shown = self._columns_in_sight(data)
            cells = [
                f"{fit(labels[c], width * every - 1)} "
                for c in shown[:: max(1, every)]
                if c < len(labels)
            ]
            return [*segments, Segment("".join(cells)[: width * len(shown)], muted)]
        for column in self._columns_in_sight(data):
            label = labels[column] if column < len(labels) else ""
            if data.words is None and cell_len(label) < width:
                text = " " * (width - cell_len(label)) + label
            else:
                text = f" {fit(label, width - 1)}"
            differs = labels is not data.columns and label != data.columns[column]
            segments.append(
                Segment(text, self.inks.style("accent", bold=True) if differs else muted)
            )
        return segments

    def _cell(self, data: GridData, row: int, column: int, part: int) -> list[Segment]:
        value = float(data.values[row, column])
        level = data.scale.level(value)
        dark = self.inks.dark
        if (row, column) == self.cursor:
            if self.has_focus:
                style = cursor_style(dark)
            else:
                style = level_style(level, dark) + Style(bold=True, underline=True)
        elif math.isnan(value):
            style = self.inks.style("muted")
        else:
            style = level_style(level, dark)
            if data.marked is not None and data.marked[row, column] and part == 0:
                style += Style(bold=True)
        return [Segment(self._text(data, row, column, part, level), style)]

    def _text(self, data: GridData, row: int, column: int, part: int, level: int) -> str:
        from interpboard.visualization.colors import MIDDLE, short_number

        value, width = float(data.values[row, column]), self.cell_width
        if (row, column) in data.off:
            return "off".rjust(width) if width >= 3 else "x".rjust(width)
        if part == 1 and data.notes is not None:
            return f" {fit(str(data.notes[row, column]), width - 1)}"
        if data.words is not None:
            return f" {fit(str(data.words[row, column]), width - 1)}"
        if math.isnan(value):
            return data.absent.center(width)
        signed = data.scale.diverging
        guess = data.estimated is not None and bool(data.estimated[row, column])
        if width >= 3:
            text = short_number(value, width - 1 if width >= 5 or guess else width)
            text = text if signed else text.removeprefix("+")
            text = (f"~{text}" if guess else text).rjust(width)
            badge = data.badges.get((row, column), "")
            return badge + text[1:] if badge and text[0] == " " else text
        if guess and width == 1 and not self.monochrome:
            return "~"
        glyph = "~" if guess else GLYPHS[min(8, abs(level - MIDDLE) * 2)]
        if not signed:
            return glyph.rjust(width) if width == 2 or self.monochrome else " "
        off_center = value - data.scale.center  # as the colour says it
        sign = "-" if off_center < 0 else "+" if off_center > 0 else "0"
        if width == 2:
            return sign + glyph
        return sign if self.monochrome else " "

    # -- the cursor -------------------------------------------------------------------------------

    def move_cursor(self, how: str) -> None:
        """Move by cell; g and G keep the column, 0 and $ the row."""
        if self.data is None:
            return
        (row, column), (rows, columns) = self.cursor, self.data.values.shape
        page = max(1, (self.size.height - self.headers) // self.cell_height // 2)
        row = step(how, row, rows, page)
        column = {"left": column - 1, "right": column + 1, "home": 0, "end": columns - 1}.get(
            how, column
        )
        self.cursor = (row, max(0, min(columns - 1, column)))

    def point(self, x: int, y: int) -> None:
        """Click on a cell."""
        if self.data is None or y < self.headers or x < self.header_width:
            return
        row = (y - self.headers + self.scroll_offset.y) // self.cell_height
        column = (
            x - self.header_width
        ) // self.cell_width + self.scroll_offset.x // self.cell_width
        if row < len(self.data.rows) and column < len(self.data.columns):
            self.cursor = (row, column)

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
        width, height = self.cell_width, self.cell_height
        fits_x = max(1, (self.size.width - self.header_width) // width)
        fits_y = max(1, self.size.height - self.headers)
        first = self.scroll_offset.x // width
        first = min(max(first, column - fits_x + 1), column)
        top = min(max(self.scroll_offset.y, (row + 1) * height - fits_y), row * height)
        if (first * width, top) != self.scroll_offset:
            self.scroll_to(first * width, top, animate=False, force=True)

    def refresh_cursor(self) -> None:
        """The cursor's cell and its row label."""
        if self.data is not None:
            self._refresh_cell(*self.cursor)
            self.refresh(Region(0, self._line(self.cursor[0]), self.header_width, 1))

    def _line(self, row: int) -> int:
        return self.headers + row * self.cell_height - self.scroll_offset.y

    def _refresh_cell(self, row: int, column: int) -> None:
        x = self.header_width + column * self.cell_width - self.scroll_offset.x
        self.refresh(Region(x, self._line(row), self.cell_width, self.cell_height))

    def _refresh_row(self, row: int) -> None:
        self.refresh(Region(0, self._line(row), self.size.width, self.cell_height))
