"""A row or two of text that repaint only when the text changes, and never re-lay out the screen.

What does not fit is left out behind a part or a word, never inside a number or before its unit.
"""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text
from textual.widget import Widget


class Line(Widget):
    """A row of text. ``set`` is cheap to call with what is already shown."""

    DEFAULT_CSS = "Line { height: 1; width: 100%; text-wrap: nowrap; text-overflow: clip; }"

    def __init__(
        self, text: Text | None = None, *, id: str | None = None, classes: str = ""
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.text = text or Text()

    def set(self, text: Text) -> None:
        """Show ``text``."""
        if text != self.text:
            self.text = text
            self.refresh()

    def render(self) -> Text:
        """The text, in as many rows as there are."""
        return in_rows(self.text, *self.size) if self.size else self.text


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

    Rows break between parts, where a part is longer between words. Where there is more: ``…``.
    """
    rows: list[Text] = []
    left = text
    while left.cell_len > width and len(rows) + 1 < height:
        at = _break(left.plain, width)
        row, left = left[:at], left[at:]
        row.rstrip()
        rows.append(row)
        lead = len(left.plain) - len(left.plain.lstrip(" "))
        left = Text(" ").append_text(left[lead:])
    if left.cell_len > width:
        cut = left[: _break(left.plain, width - 1, last=True)]
        cut.rstrip()
        left = cut.append(" …" if cut.cell_len + 2 <= width else "…")
    return Text("\n", no_wrap=True, end="").join([*rows, left]) if rows else left


def _break(plain: str, width: int, *, last: bool = False) -> int:
    """Where ``plain`` is broken so that what is before fits ``width`` cells; ``last``: no row follows."""
    end = cells_at_most(plain, width)
    part = plain.rfind("  ", 0, end + 1)
    if part > 0 and len(plain[:part].strip()) * 4 > end * 3:
        return part
    word = plain.rfind(" ", 0, end + 1)
    if not plain[: max(word, 0)].strip():  # one word, longer than the row
        return end
    while (
        last and plain[:word].rstrip()[-1:].isdigit()
    ):  # its unit, or what it is of, stands behind it
        word = max(0, plain[:word].rstrip().rfind(" "))
    return word


def cells_at_most(plain: str, width: int) -> int:
    """How many characters of ``plain`` fit ``width`` cells."""
    used = 0
    for at, char in enumerate(plain):
        used += cell_len(char)
        if used > width:
            return at
    return len(plain)
