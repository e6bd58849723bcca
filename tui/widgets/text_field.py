"""A field that holds its text exactly as it is, newlines and control characters too.

Only its drawing replaces characters, one by one, so that nothing in a text can act on the terminal, and
what is edited keeps what it does not show.
"""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.strip import Strip
from textual.widgets import Input

from interpboard.display import ascii_everywhere, visible
from tui.theme import inks

NEWLINE = "\n"
_MARKS = 2  # on one letter, as in ``interpboard.display``


class TextField(Input):
    """A line to write in."""

    def __init__(
        self, text: str, placeholder: str = "", *, select: bool = False, id: str | None = None
    ) -> None:
        self._drawn = ("", "")
        super().__init__(text, compact=True, select_on_focus=select, id=id, placeholder=placeholder)
        self.cursor_blink = False

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.insert_text_at_cursor(pasted(event.text))

    # -- drawing: Textual's own acts on control characters and draws the whole text at each key ----

    @property
    def shown(self) -> str:
        """The text as it is drawn, one character for each of its own."""
        if self._drawn[0] != self.value:
            self._drawn = (self.value, pictures(self.value, ascii_everywhere.get()))
        return self._drawn[1]

    def _position_to_cell(self, position: int) -> int:
        return cell_len(self.shown[:position])

    @property
    def content_width(self) -> int:
        """Cells of the text, and one for the cursor behind it."""
        return cell_len(self.shown or self.placeholder) + 1

    def render_line(self, y: int) -> Strip:
        """The part of the text that is in sight."""
        if y or not self.value:
            return super().render_line(y)
        width, shown, start = self.scrollable_content_region.width + 1, self.shown, 0
        left = int(self.scroll_offset.x)
        if left and shown.isascii():
            start, left = left, 0
        end = start + left + width if shown.isascii() else len(shown)
        part = Text(shown[start:end], no_wrap=True, overflow="ignore", end="")
        sign = Style(color=inks(self.app.current_theme.dark).accent, bold=True)
        for at in range(start, min(end, len(shown))):
            if self.value[at] == NEWLINE:
                part.stylize(sign, at - start, at - start + 1)
        if self.has_focus:
            first, last = sorted(self.selection)
            selection = self.get_component_rich_style("input--selection")
            part.stylize(selection, max(0, first - start), max(0, last - start))
            if self.cursor_at_end:
                part.append(" ")
            at = self.cursor_position - start
            part.stylize(self.get_component_rich_style("input--cursor"), max(0, at), max(0, at + 1))
        segments: list[Segment] = list(part.render(self.app.console))
        strip = Strip(segments).crop(left, left + width).extend_cell_length(width)
        return strip.apply_style(self.rich_style)


def pictures(text: str, ascii_only: bool) -> str:
    """``text`` with one harmless character for each of its own: ``⏎`` for a newline."""
    if text.isascii() and text.isprintable():
        return text
    drawn: list[str] = []
    marks = 0
    for char in text:
        picture = visible(char, ascii_only=ascii_only)
        if not ascii_only and unicodedata.category(char) in ("Mn", "Mc") and picture[-1] == char:
            marks += 1
            drawn.append(char if drawn and marks <= _MARKS else "�")
            continue
        marks = 0
        if char == NEWLINE:
            picture = "|" if ascii_only else picture
        drawn.append(picture if len(picture) == 1 else "?" if ascii_only else "�")
    return "".join(drawn)


def pasted(text: str) -> str:
    """What a paste brings: lines and tabs, no other control characters, no newline at the end."""
    text = text.replace("\r\n", NEWLINE).replace("\r", NEWLINE).removesuffix(NEWLINE)
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
