"""A text that scrolls and can be searched: the line that was found is in sight, and marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from tui.widgets.cells import MOST_AFTER, NOWHERE, CursorPlace, SearchCell

# How many lines each of the cursor's moves scrolls; along a line there is nowhere to go.
_LINES = {"down": 1, "up": -1, "page_down": 10, "page_up": -10}
_ENDS = {"top": -1, "home": -1, "bottom": 1, "end": 1}


class TextPage(VerticalScroll, can_focus=False):
    """One text. Its place in a search is a line, as wrapped."""

    def __init__(
        self,
        text: Text | None = None,
        *,
        id: str | None = None,
        classes: str = "",
        names: Callable[[str], tuple[str, ...]] = lambda _line: (),
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.text = text or Text()
        self.line = NOWHERE
        self.names = names  # by which else a line is found
        self._top = 0  # the first line in sight before anything was found

    def compose(self) -> ComposeResult:
        """The text."""
        yield Static(self.text)

    def set(self, text: Text) -> None:
        """Show ``text`` from its beginning."""
        self.text, self.line = text, NOWHERE
        self.query_one(Static).update(text)

    def lines(self) -> list[Text]:
        """The text in lines as wide as there is room."""
        width = self.query_one(Static).size.width
        if self.text.no_wrap or not width:
            return list(self.text.split("\n", allow_blank=True))
        return list(self.text.wrap(self.app.console, width))

    def scroll_by_key(self, direction: str) -> None:
        """Scroll as the cursor of a pane would move."""
        if direction in _ENDS:
            (self.scroll_home if _ENDS[direction] < 0 else self.scroll_end)(animate=False)
        else:
            self.scroll_relative(y=_LINES.get(direction, 0), animate=False)

    # -- to be searched ---------------------------------------------------------------------------

    @property
    def place(self) -> CursorPlace:
        """The line that was found, −1 before any was."""
        return self.line

    def cells(self, around: CursorPlace) -> Sequence[SearchCell]:
        """Every line; what is found where a line is broken begins in the upper one."""
        lines = [line.plain for line in self.lines()]
        return [
            SearchCell(
                at, (line, *self.names(line)), after=" ".join(lines[at + 1 : at + 2])[:MOST_AFTER]
            )
            for at, line in enumerate(lines)
            if line.strip()
        ]

    def beyond(self, query: str) -> Sequence[SearchCell]:
        """Nothing: all there is is shown."""
        return ()

    def go(self, place: CursorPlace) -> None:
        """Scroll there and mark the line; −1: back to where it was."""
        if self.line == NOWHERE:
            self._top = round(self.scroll_offset.y)
        self.line = place
        self._draw()
        height = max(1, self.size.height)
        top = self._top if place == NOWHERE else max(0, place - height // 2)
        seen = range(round(self.scroll_offset.y), round(self.scroll_offset.y) + height)
        if place == NOWHERE or place not in seen:
            self.scroll_to(None, top, animate=False, force=True)

    def leave(self) -> None:
        """No line is marked any more."""
        self.line = NOWHERE
        self._draw()

    def _draw(self) -> None:
        if self.line == NOWHERE:
            self.query_one(Static).update(self.text)
            return
        lines = self.lines()
        if self.line < len(lines):
            found = lines[self.line].copy()
            found.stylize(Style(reverse=True))
            lines[self.line] = found
        self.query_one(Static).update(Text("\n", no_wrap=True).join(lines))
