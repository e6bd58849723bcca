"""The line of messages: its place is reserved, so that no message covers or moves anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from interpboard.display import fit
from tui.commands.command import shown_keys
from tui.theme import Inks
from tui.widgets.line import Line

if TYPE_CHECKING:
    from tui.controllers.notify import Notice

MARKS = {
    "information": "•",
    "warning": "!",
    "error": "✗",
}  # told apart without colour, and in ASCII


class MessageLine(Line):
    """Empty while there is nothing to say. Every screen that has one shows the same.

    Where lines are few it has none of its own: then it takes the footer's place (the style sheet says where).
    """

    def on_mount(self) -> None:
        """There is nothing to say yet."""
        self.set_class(not self.text, "-nothing")

    def set(self, text: Text) -> None:
        """Show ``text``."""
        super().set(text)
        if self.has_class("-nothing") == bool(text):
            self.set_class(not text, "-nothing")
            for footer in self.screen.query("#footer"):
                footer.set_class(bool(text), "-covered")


def message_line(message: Notice | None, ink: Inks, width: int) -> Text:
    """The newest message; one that is too long says which key shows it whole."""
    if message is None:
        return Text()
    color = ink.muted if message.severity == "information" else ink.warning
    text = Text(f" {MARKS[message.severity]} ", Style(color=color, bold=True))
    plain = ink.text if message.severity == "information" else ink.warning
    room = width - text.cell_len
    line = Text(message.line, plain)
    if line.cell_len <= room:
        return text.append_text(line)
    whole = f" {shown_keys('log')} shows all"
    text.append(_cut(message.line, max(1, room - len(whole))), plain)
    return text.append(whole, Style(color=ink.accent))


def _cut(line: str, width: int) -> str:
    """The words that fit, and that there are more."""
    kept = fit(line, width).rstrip()
    head, space, _ = kept.rpartition(" ")
    return f"{head} …" if space and len(head) > width // 2 else kept
