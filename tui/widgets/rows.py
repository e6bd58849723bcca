"""A few rows of text around a token each, that repaint only when they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text
from textual.widget import Widget

from interpboard.display import fit
from tui.theme import Inks, inks
from tui.widgets.line import broken

BEFORE = 0.6  # share of the room that ends with the token


@dataclass(frozen=True)
class Row:
    """``lead`` in front; then text with the token that it is about. All of it already visible."""

    lead: str
    before: str = ""
    token: str = ""
    after: str = ""

    def in_lines(self, width: int) -> list[Row]:
        """This row, or where there is a lead alone as many as its words take."""
        room = max(1, width - 2)
        if self.before or self.token or self.after or cell_len(self.lead) <= room:
            return [self]
        return [Row(line.plain.strip()) for line in broken(Text(self.lead), room)]

    def drawn(self, width: int, ink: Inks) -> Text:
        """The row in ``width`` cells; what is far from the token goes first."""
        room = max(0, width - cell_len(self.lead) - 1)
        before = self.before
        most = max(0, round(room * BEFORE) - cell_len(self.token))
        if cell_len(before) > most:
            while before and cell_len(before) > most - 1:
                before = before[1:]
            before = "…" + before
        after = fit(self.after, max(0, room - cell_len(before) - cell_len(self.token))).rstrip()
        text = Text(" " + self.lead, ink.muted, no_wrap=True)
        text.append(before, ink.text)
        text.append(self.token, f"bold underline {ink.accent}")
        return text.append(after, ink.text)


class Rows(Widget, can_focus=False):
    """Rows from the top; what does not fit below is not shown."""

    DEFAULT_CSS = """
    Rows { height: 1fr; width: 100%; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: tuple[Row, ...] = ()

    def set(self, rows: Sequence[Row]) -> None:
        """Show ``rows``."""
        if tuple(rows) != self.rows:
            self.rows = tuple(rows)
            self.refresh()

    def render(self) -> Text:
        """The rows, one a line."""
        ink = inks(self.app.current_theme.dark)
        width = self.content_size.width
        lines = [line for row in self.rows for line in row.in_lines(width)]
        shown = [line.drawn(width, ink) for line in lines[: self.content_size.height]]
        if shown and len(lines) > len(shown) and not lines[len(shown) - 1].token:
            shown[-1].append(" …", ink.muted)
        return Text("\n", no_wrap=True).join(shown)
