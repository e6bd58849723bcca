"""A list of labelled values with bars: next tokens, strongest tokens, strongest heads, layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.reactive import reactive
from textual.strip import Strip

from interpboard.display import fit
from tui import words
from tui.theme import cursor_style
from tui.widgets.cells import NOWHERE, CursorPlace, SearchCell
from tui.widgets.cursor_view import CursorView, step

MAX_BAR = MAX_LABEL = 32
FOLD_FROM = 40


@dataclass(frozen=True)
class Bar:
    """One row: a label (already visible), the number in words, and its share of the longest bar.

    A search finds it by ``names`` too.
    """

    label: str
    number: str
    share: float  # −1 … 1; the sign chooses the colour
    strong: bool = False
    names: tuple[str, ...] = ()


class Bars(CursorView):
    """Rows of ``Bar``. With ``title`` a muted line above says what they are."""

    cursor: reactive[int] = reactive(0, repaint=False, init=False)

    def __init__(
        self,
        moved: Callable[[], None] | None = None,
        *,
        id: str | None = None,
        pad: int = 0,
        folds: bool = False,
    ) -> None:
        super().__init__(moved or (lambda: None), id=id)
        self.can_focus = moved is not None
        self.folds = folds  # into two columns where there is no height for one
        self.sentences = False  # labels that are told apart by their ends, too
        self.pad = pad  # empty lines above, to stand apart from what is there
        self.title = self.factor = ""
        self.bars: tuple[Bar, ...] = ()
        self.behind: Callable[[str], Sequence[SearchCell]] = (
            lambda _query: ()
        )  # searched, not shown
        self.found = NOWHERE  # what a search has marked in a list without a cursor
        self._stays = False  # the cursor was put here from elsewhere: the rows stay where they are
        if not self.can_focus:
            self.styles.overflow_y = "hidden"

    def show(self, bars: Sequence[Bar], title: str = "", factor: str = "") -> None:
        """Show ``bars``; only rows that changed are repainted. The ``factor`` of the numbers is never cut."""
        old, widths, old_title = self.bars, self._widths(), (self.title, self.factor)
        self.bars, self.title, self.factor = tuple(bars), title, factor
        if self.bars != old:
            self.found = NOWHERE
        last = max(0, len(self.bars) - 1)
        if self.cursor > last:
            self.set_reactive(Bars.cursor, last)
        if (
            len(old) != len(self.bars)
            or widths != self._widths()
            or bool(old_title[0]) != bool(title)
        ):
            self.measure()
            self.refresh()
            return
        if (title, factor) != old_title:
            self._refresh_row(-1)
        for row, (before, after) in enumerate(zip(old, self.bars, strict=True)):
            if before != after:
                self._refresh_row(row)

    @property
    def above(self) -> int:
        """Lines above the first bar."""
        return self.pad + (1 if self.title else 0)

    def line_count(self, width: int) -> int:
        """Bars and what stands above them."""
        return self.above + len(self.bars)

    def _widths(self) -> tuple[int, int]:
        label = max((cell_len(bar.label) for bar in self.bars), default=0)
        label = min(label, MAX_LABEL)
        label = -(-label // 8) * 8 if label > 8 else label  # in steps: few changes, few repaints
        number = max((cell_len(bar.number) for bar in self.bars), default=0)
        return min(label, max(6, self.size.width // 2)), number

    def draw_line(self, line: int) -> list[Segment]:
        """A bar, or the title."""
        at = line + self.scroll_offset.y
        if self.size.height <= self.above:  # no bar has room: then nothing is said of them
            return []
        if self.title and at == self.pad:
            factor = f" {self.factor}" if self.factor else ""
            room = max(1, self.size.width - 1 - len(factor))
            title = self.title if cell_len(self.title) <= room else fit(self.title, room)
            return [Segment(f" {title}{factor}", self.inks.style("muted"))]
        row = at - self.above
        if not 0 <= row < len(self.bars) or (at < self.pad):
            return []
        rows = self.size.height - self.above
        if self.folds and 0 < rows < len(self.bars) <= 2 * rows and self.size.width >= FOLD_FROM:
            half = -(-len(self.bars) // 2)
            if row >= half:
                return []
            width = self.size.width // 2
            right = self._bar(row + half, width) if row + half < len(self.bars) else []
            left = Strip(self._bar(row, width)).adjust_cell_length(width, self.blank)
            return [*left, *right]
        return self._bar(row, self.size.width)

    def _bar(self, row: int, width: int) -> list[Segment]:
        bar, (label, number) = self.bars[row], self._widths()
        here = row == self.cursor and self.can_focus
        label = min(label, max(6, width - number - 3))  # the number is never cut for the label
        text = f" {self._label(bar, label)}  {bar.number.rjust(number)} "
        if label + number + 3 > width:  # a number is there whole, or not at all
            text = f" {self._label(bar, max(1, width - 1))}"
        style = self.inks.style("text", bold=bar.strong)
        if here and self.has_focus:
            style = cursor_style(self.inks.dark)
        elif here or row == self.found:
            style += Style(bold=True, underline=True)
        room = max(0, min(MAX_BAR, width - cell_len(text) - 2))
        drawn = "" if math.isnan(bar.share) else words.rule(abs(bar.share), room)
        return [
            Segment(text, style),
            Segment(" ", self.blank),
            Segment(drawn, self._ink(bar.share)),
        ]

    def _label(self, bar: Bar, width: int) -> str:
        return fit(words.shorten_middle(bar.label, width) if self.sentences else bar.label, width)

    def _ink(self, share: float) -> Style:
        from interpboard.visualization import colors

        levels = colors.DARK if self.inks.dark else colors.LIGHT
        return Style(color=levels[1 if share < 0 else 7], bgcolor=self.inks.background)

    # -- to be searched ---------------------------------------------------------------------------

    @property
    def place(self) -> CursorPlace:
        """The row of the cursor, or the row that was found where there is no cursor."""
        return self.cursor if self.can_focus else self.found

    def cells(self, around: CursorPlace) -> Sequence[SearchCell]:
        """The rows by their labels and names; none of a list that is not in sight."""
        if not self.display:
            return ()
        return [
            SearchCell(at, (bar.label.strip(), *bar.names), note=self._note(bar))
            for at, bar in enumerate(self.bars)
        ]

    def beyond(self, query: str) -> Sequence[SearchCell]:
        """What is behind the list, if it is in sight."""
        return self.behind(query) if self.display else ()

    def _note(self, bar: Bar) -> str:
        """All of a row in a list without a cursor: it may be below those that there is room for."""
        return "" if self.can_focus else f"{bar.label.strip()}  {bar.number.strip()}"

    def go(self, place: CursorPlace) -> None:
        """The cursor goes there; where there is none, the row is marked."""
        if self.can_focus:
            super().go(place)
            return
        before, self.found = self.found, place
        for row in {before, place} - {NOWHERE}:
            self._refresh_row(row)

    def leave(self) -> None:
        """No row is marked."""
        if not self.can_focus:
            self.go(NOWHERE)

    def move_cursor(self, how: str) -> None:
        """Up and down the list."""
        if self.bars and self.can_focus:
            page = max(1, self.size.height // 2)
            self.cursor = step(how, self.cursor, len(self.bars), page)

    def point(self, x: int, y: int) -> None:
        """Click on a row."""
        row = y + self.scroll_offset.y - self.above
        if self.can_focus and 0 <= row < len(self.bars):
            self.cursor = row

    def watch_cursor(self, old: int, new: int) -> None:
        """Two rows change."""
        if old == new:
            return
        self._stays = False
        self.reveal()
        self._refresh_row(old)
        self._refresh_row(new)
        self.moved()

    def put(self, row: int, stays: bool = False) -> bool:
        """Put the cursor where another pane's is; did it move?

        With ``stays`` the rows are not scrolled for it until the list has the focus: one that is sorted by
        size would show another part of itself at each key elsewhere, and none in which to look for anything.
        """
        if not 0 <= row < len(self.bars) or row == self.cursor:
            return False
        self._stays = stays and not self.has_focus
        old = self.cursor
        self.set_reactive(Bars.cursor, row)
        self.reveal()
        self._refresh_row(old)
        self._refresh_row(row)
        return True

    def reveal(self) -> None:
        """Scroll until the cursor's row is in sight."""
        if self.can_focus and self.size.height and not self._stays:
            row = self.cursor + self.above
            top = self.scroll_offset.y
            if not top <= row < top + self.size.height:  # half a page on: few keys shift all rows
                top = max(0, row - self.size.height // 2)
                self.scroll_to(None, top, animate=False, force=True)

    def refresh_cursor(self) -> None:
        """The row under the cursor, which is in sight where the list has the focus."""
        if self.has_focus and self._stays:
            self._stays = False
            self.reveal()
        self._refresh_row(self.cursor)

    def _refresh_row(self, row: int) -> None:
        y = row + self.above - self.scroll_offset.y
        self.refresh(Region(0, y, self.size.width, 1))
