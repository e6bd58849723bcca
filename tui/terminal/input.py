"""A text field that says itself how its text is pasted, measured and scrolled.

Textual's own acts on control characters, draws the whole text at each key, and lays the whole screen out
when the text grows, because it scrolls a widget as wide as that. The names that it calls for this are
private; here they lead to public ones.
"""

from __future__ import annotations

from textual import events
from textual.geometry import Offset
from textual.widgets import Input
from textual.widgets.input import Selection


class MeasuredInput(Input):
    """Base of the text field."""

    def paste(self, text: str) -> None:
        """The terminal pastes ``text``."""
        raise NotImplementedError

    def cell_at(self, position: int) -> int:
        """The cell in which the character at ``position`` begins."""
        raise NotImplementedError

    def position_at(self, cell: int) -> int:
        """The character that is drawn in a cell of what is in sight."""
        raise NotImplementedError

    def first_cell(self) -> int:
        """The first cell of the text that is in sight, moved so that the cursor is."""
        raise NotImplementedError

    @property
    def content_width(self) -> int:
        """The same whatever the text is: nothing is laid out anew."""
        return 1

    @property
    def cursor_screen_offset(self) -> Offset:
        """Where the terminal's own cursor belongs."""
        x, y, _, _ = self.content_region
        return Offset(x + self.cell_at(self.cursor_position) - self.first_cell(), y)

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.paste(event.text)

    def _position_to_cell(self, position: int) -> int:
        return self.cell_at(position)

    def _cell_offset_to_index(self, offset: int) -> int:
        return self.position_at(offset)

    def _watch_selection(self, selection: Selection) -> None:
        self.app.clear_selection()
        self.app.cursor_position = self.cursor_screen_offset
