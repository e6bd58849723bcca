"""What every pane's body is: lines drawn by hand, with a cursor that moves by hjkl and arrows.

Moving the cursor repaints what the cursor left and what it reached, nothing else: over SSH every
byte counts. The pane is told by a plain call, so that its readout is in the same frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.strip import Strip

from tui.commands.command import bindings
from tui.commands.places import MOVES
from tui.terminal.capabilities import signs_wanted
from tui.terminal.focus import QuietScrollView
from tui.theme import Inks, inks
from tui.widgets.cells import CursorPlace, SearchCell


def _no_one() -> None:
    """Nobody listens."""


class CursorView(QuietScrollView, can_focus=True, inherit_bindings=False):
    """Base of grid, strip and bars: sizes, styles, keys. Subclasses draw lines and move cursors."""

    BINDINGS = bindings(MOVES)
    cursor: Any
    DEFAULT_CSS = """
    CursorView { height: 1fr; width: 100%; scrollbar-size: 1 1; }
    """

    def __init__(self, moved: Callable[[], None] = _no_one, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.moved = moved

    @property
    def inks(self) -> Inks:
        """The colours in use."""
        return inks(self.app.current_theme.dark)

    @property
    def monochrome(self) -> bool:
        """Are there too few colours to tell signs apart?"""
        return signs_wanted(self.app)

    @property
    def blank(self) -> Style:
        """The style of empty space; segments without any style crash without colour."""
        return self.inks.style("text")

    def line_count(self, width: int) -> int:
        """Lines of the whole content at ``width``."""
        raise NotImplementedError

    def content_width(self) -> int:
        """Columns of the whole content; 0: it fits any width."""
        return 0

    def draw_line(self, line: int) -> list[Segment]:
        """Segments of one line of the content, counted from the top of the view."""
        raise NotImplementedError

    def move_cursor(self, how: str) -> None:
        """Move: left, right, up, down, top, bottom, home, end, page_up, page_down."""
        raise NotImplementedError

    def point(self, x: int, y: int) -> None:
        """The mouse points at column ``x`` of line ``y`` of the view."""

    # -- to be searched ---------------------------------------------------------------------------

    def cells(self, around: CursorPlace) -> Sequence[SearchCell]:
        """What a search finds here."""
        raise NotImplementedError

    def beyond(self, query: str) -> Sequence[SearchCell]:
        """Nothing: all there is is shown."""
        return ()

    @property
    def place(self) -> CursorPlace:
        """Where the cursor is."""
        return self.cursor

    def go(self, place: CursorPlace) -> None:
        """The cursor goes there, and whoever listens is told."""
        self.cursor = place

    def leave(self) -> None:
        """The cursor stays."""

    # -- sizes and drawing ------------------------------------------------------------------------

    def measure(self) -> None:
        """Fit the virtual size to the content; call it when the content or the size changes."""
        size = Size(self.content_width(), self.line_count(self.room))
        if size != self.virtual_size:
            self.virtual_size = size

    @property
    def room(self) -> int:
        """Columns to draw in, with or without a scrollbar."""
        return max(1, self.scrollable_content_region.width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """For ``height: auto``."""
        over = self.content_width() > width > 0
        return self.line_count(width) + (1 if over else 0)

    def on_resize(self, event: events.Resize) -> None:
        """A new width may wrap differently."""
        self.measure()
        self.reveal()

    def reveal(self) -> None:
        """Scroll until the cursor is in sight."""

    def action_move(self, how: str) -> None:
        """A key moved the cursor."""
        self.move_cursor(how)

    def on_click(self, event: events.Click) -> None:
        """The mouse moves the cursor too, where there is one."""
        self.point(event.x, event.y)

    def render_line(self, y: int) -> Strip:
        """One line of the view, exactly as wide as the view."""
        width = self.size.width
        return Strip(merged(self.draw_line(y))).adjust_cell_length(width, self.blank).simplify()


def merged(segments: list[Segment]) -> list[Segment]:
    """Neighbours of one style as one segment: one escape sequence instead of many."""
    result: list[Segment] = []
    for segment in segments:
        if result and result[-1].style == segment.style:
            result[-1] = Segment(result[-1].text + segment.text, segment.style)
        elif segment.text:
            result.append(segment)
    return result


def step(how: str, at: int, count: int, page: int) -> int:
    """Where a vertical move leads in a list of ``count``."""
    target = {
        "up": at - 1,
        "down": at + 1,
        "top": 0,
        "bottom": count - 1,
        "page_up": at - page,
        "page_down": at + page,
    }.get(how, at)
    return max(0, min(count - 1, target))
