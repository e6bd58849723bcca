"""A row or two of text that repaint only when the text changes, and never re-lay out the screen.

What does not fit is left out behind a part or a word, never inside a number or before its unit.
"""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip
from textual.widget import Widget

OPTIONAL = Style(meta={"optional": True})  # added to the style of a part that goes before others do
_NUMBER = re.compile(r"[−+-]?\d")
_NAMED_NUMBER = re.compile(r"[a-z]+ [−+-]?\d")
_LEADS_ON = ("+", "−", "-", "→", "<", ">", "│")  # words that no line ends with


class Line(Widget):
    """A row of text. ``set`` is cheap to call with what is already shown."""

    DEFAULT_CSS = "Line { height: 1; width: 100%; text-wrap: nowrap; text-overflow: clip; }"

    def __init__(
        self, text: Text | None = None, *, id: str | None = None, classes: str = ""
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.text = text or Text()
        self._rows: list[Text] = []  # as they are drawn

    def set(self, text: Text) -> None:
        """Show ``text``."""
        if text != self.text:
            self.text, self._rows = text, []
            self.refresh()

    def render(self) -> Text:
        """The text, in as many rows as there are."""
        return in_rows(self.text, *self.size) if self.size else self.text

    def render_line(self, y: int) -> Strip:
        """One row. Textual's way from a text to cells takes most of the time that a key does."""
        if self.text_selection is not None:  # the mouse marks a part of it
            return super().render_line(y)
        if y == 0 or not self._rows:
            text = self.render()
            self._rows = (
                list(text.split("\n", allow_blank=True)) if self.size.height > 1 else [text]
            )
        rows, base = self._rows, self.rich_style
        if y >= len(rows):
            return Strip.blank(self.size.width, base)
        row, console = rows[y], self.app.console
        row.end = ""
        own = base + console.get_style(row.style)
        segments = [
            Segment(text, base + style if style else own) for text, style, _ in row.render(console)
        ]
        return Strip(segments)


class GrowingLine(Line):
    """Gets a second row when its text needs one and keeps it until ``one_row``: no key moves the rest."""

    def grow(self, *, room: bool) -> bool:
        """Take another row if the text needs it and there is ``room``; was one taken?"""
        if not room or self.size.height != 1 or self.text.cell_len <= self.size.width:
            return False
        self.styles.height = 2
        return True

    def one_row(self) -> None:
        """Back to what the style sheet says."""
        if self.styles.inline.has_rule("height"):
            self.styles.clear_rule("height")
            self.refresh(layout=True)


def in_rows(text: Text, width: int, height: int = 1) -> Text:
    """``text`` in at most ``height`` rows of ``width`` cells; two spaces stand between its parts.

    Rows break between parts; where that does not do, between words, never between a number and its unit.
    Where there is more, ``OPTIONAL`` parts are left out, the last first; then the end is: ``…``.
    """
    rows, cut = _fitted(text, width, height)
    while cut:
        shorter = _without_optional(text)
        if shorter is None:
            break
        text = shorter
        rows, cut = _fitted(text, width, height)
    return rows[0] if len(rows) == 1 else Text("\n", no_wrap=True, end="").join(rows)


def broken(text: Text, width: int) -> list[Text]:
    """``text`` in as many rows of ``width`` cells as it takes."""
    return _rows(text, width, text.cell_len + 1)[0]


def _without_optional(text: Text) -> Text | None:
    """``text`` without the last of its optional parts; None where it has none."""
    for span in reversed(text.spans):
        if isinstance(span.style, Style) and span.style.meta.get("optional"):
            return text[: span.start].append_text(text[span.end :])
    return None


def _fitted(text: Text, width: int, height: int) -> tuple[list[Text], bool]:
    """Rows of whole parts where they fit so, else as many words as go into each row."""
    rows, cut = _rows(text, width, height, whole=True)
    return _rows(text, width, height) if cut else (rows, cut)


def _rows(text: Text, width: int, height: int, *, whole: bool = False) -> tuple[list[Text], bool]:
    """The rows, and whether the end had to be cut. ``whole``: no row ends inside a part."""
    rows: list[Text] = []
    left = text
    while left.cell_len > width and len(rows) + 1 < height:
        at = _break(left.plain, width)
        if whole:
            at = left.plain.rfind("  ", 0, cells_at_most(left.plain, width) + 1)
            if not left.plain[: max(at, 0)].strip():
                break
        row, left = left[:at], left[at:]
        row.rstrip()
        rows.append(row)
        lead = len(left.plain) - len(left.plain.lstrip(" "))
        left = Text(" ").append_text(left[lead:])
    if left.cell_len <= width:
        return [*rows, left], False
    cut = left[: _break(left.plain, width - 1, last=True)]
    cut.rstrip()
    return [*rows, cut.append(" …" if cut.cell_len + 2 <= width else "…")], True


def _break(plain: str, width: int, *, last: bool = False) -> int:
    """Where ``plain`` is broken so that what is before fits ``width`` cells; ``last``: no row follows."""
    end = cells_at_most(plain, width)
    part = plain.rfind("  ", 0, end + 1)
    while last and part > 0 and plain[:part].split()[-1:] and plain[:part].split()[-1] in _LEADS_ON:
        part = plain.rfind("  ", 0, part)
    if part > 0 and len(plain[:part].strip()) * 4 > end * 3:
        return part
    word = plain.rfind(" ", 0, end + 1)
    if not plain[: max(word, 0)].strip():  # one word, longer than the row
        return end
    began = plain.rfind("  ", 0, word)  # the part that is cut
    number = _NAMED_NUMBER.match(plain[word:].lstrip())
    if last and number and plain[: max(began, 0)].strip() and plain[word:][:2] != "  ":
        return began
    shorter = word
    while _leads_on(plain[:shorter].rstrip(), plain[shorter:]):
        shorter = max(0, plain[:shorter].rstrip().rfind(" "))
    return shorter if last or plain[:shorter].strip() else word


def _leads_on(before: str, after: str) -> bool:
    """Is the last word of ``before`` nothing without what is ``after`` it?

    A number has its unit behind it, or what it is of; a sign and an arrow lead to something; the name of a
    number stands in front of it.
    """
    if not before.strip():
        return False
    name_of_number = not after.startswith("  ") and _NUMBER.match(after.lstrip()) is not None
    return before[-1].isdigit() or before.split()[-1] in _LEADS_ON or name_of_number


def cells_at_most(plain: str, width: int) -> int:
    """How many characters of ``plain`` fit ``width`` cells."""
    used = 0
    for at, char in enumerate(plain):
        used += cell_len(char)
        if used > width:
            return at
    return len(plain)
