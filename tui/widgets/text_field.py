"""A field that holds its text exactly as it is, newlines and control characters too.

Only its drawing replaces characters, one by one, so that nothing in a text can act on the terminal, and
what is edited keeps what it does not show.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from interpboard.display import ascii_everywhere, visible
from tui.terminal.input import MeasuredInput
from tui.theme import inks

NEWLINE = "\n"
_UNKNOWN = "\ufffd"
_MARKS = 2  # on one letter, as in ``interpboard.display``


class TextField(MeasuredInput):
    """A line to write in."""

    def __init__(
        self, text: str, placeholder: str = "", *, select: bool = False, id: str | None = None
    ) -> None:
        self._drawn = ("", "")
        self.left = 0  # the first cell of the text that is in sight
        super().__init__(text, compact=True, select_on_focus=select, id=id, placeholder=placeholder)
        self.cursor_blink = False

    def paste(self, text: str) -> None:
        """Lines and tabs, in the place of what is selected."""
        self.replace(pasted(text), *self.selection)

    # -- drawing ----------------------------------------------------------------------------------

    @property
    def shown(self) -> str:
        """The text as it is drawn, one character for each of its own."""
        if self._drawn[0] != self.value:
            self._drawn = (self.value, pictures(self.value, ascii_everywhere.get()))
        return self._drawn[1]

    @property
    def _narrow(self) -> bool:
        """Is every character drawn in one cell? Then a cell's number is a character's."""
        return self.shown.isascii() or self.value.isascii()

    def cell_at(self, position: int) -> int:
        """The cell in which a character begins."""
        return position if self._narrow else cell_len(self.shown[:position])

    def position_at(self, cell: int) -> int:
        """The character that is drawn in a cell of what is in sight."""
        cell += self.left
        if self._narrow:
            return min(cell, len(self.value))
        places = range(len(self.value) + 1)
        return max(0, bisect_right(places, cell, key=self.cell_at) - 1)

    def first_cell(self) -> int:
        """Move what is in sight so that the cursor is; no room is left behind the text's end.

        One that nobody can write in has no cursor, and is seen from its beginning.
        """
        if not self.can_focus:
            self.left = 0
            return 0
        width = max(1, self.scrollable_content_region.width)
        cursor = self.cell_at(self.cursor_position)
        last = self.cell_at(len(self.value)) + 1 - width
        self.left = max(0, min(self.left, cursor, last), cursor - width + 1)
        return self.left

    def render_line(self, y: int) -> Strip:
        """The part of the text that is in sight."""
        if y or not self.value:
            return super().render_line(y)
        width, shown, value = self.scrollable_content_region.width, self.shown, self.value
        start, left, end = 0, self.first_cell(), len(value)
        if self._narrow:
            start, left, end = left, 0, left + width
        part = Text(shown[start:end], no_wrap=True, overflow="ignore", end="")
        sign = Style(color=inks(self.app.current_theme.dark).accent, bold=True)
        for at, char in enumerate(value[start:end]):
            if char == NEWLINE:
                part.stylize(sign, at, at + 1)
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
    known = {char: _picture(char, ascii_only) for char in set(text)}
    if not any(map(_is_mark, known)):
        return text.translate({ord(char): picture for char, picture in known.items()})
    drawn: list[str] = []
    marks = 0
    for char in text:
        marks = marks + 1 if known[char] == char and _is_mark(char) else 0
        stands = marks == 0 or (drawn and marks <= _MARKS)
        drawn.append(known[char] if stands else _UNKNOWN)
    return "".join(drawn)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Mc")


def _picture(char: str, ascii_only: bool) -> str:
    picture = visible(char, ascii_only=ascii_only).removeprefix("◌")
    if char == NEWLINE and ascii_only:
        return "|"
    if len(picture) == 1:
        return picture
    return "?" if ascii_only else _UNKNOWN


def pasted(text: str) -> str:
    """What a paste brings: lines and tabs, no other control characters, no newline at the end."""
    text = text.replace("\r\n", NEWLINE).replace("\r", NEWLINE).removesuffix(NEWLINE)
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
