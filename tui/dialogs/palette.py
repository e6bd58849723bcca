"""The palette: every command by name, where it acts, and why it cannot now. Made from the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from interpboard.display import fit, visible
from tui.commands.command import Command
from tui.dialogs.box import Box
from tui.theme import Inks, inks
from tui.widgets.line import Line

_ROWS = 11
LABEL, WHERE, KEY = 15, 13, 6  # columns; what a command does has the rest
_LEAST = 8  # columns in which something of it can be read


@dataclass(frozen=True)
class PaletteEntry:
    """A command in one of the places where it acts: ``where`` says which, ``why_not`` why it cannot now."""

    command: Command
    place: str
    where: str
    why_not: str = ""

    @property
    def label(self) -> str:
        """What it is called; those that no footer has room for by their name in the settings."""
        name = self.command.id.removeprefix(f"{self.place}_").replace("_", " ")
        return self.command.label or name.capitalize()


def matching(entries: Sequence[PaletteEntry], query: str) -> list[PaletteEntry]:
    """Entries whose name, help or place has the words of ``query``; names first, and what can act now."""
    words = query.lower().split()

    def in_name(entry: PaletteEntry) -> int:
        return sum(word in entry.label.lower() for word in words)

    fits = [
        entry
        for entry in entries
        if all(
            word in f"{entry.label} {entry.command.help} {entry.where}".lower() for word in words
        )
    ]
    return sorted(fits, key=lambda entry: (-in_name(entry), bool(entry.why_not))) if words else fits


class PaletteScreen(Box[PaletteEntry]):
    """Type to narrow, up and down to choose, Enter to run; what cannot act now says why."""

    BINDINGS = [  # noqa: RUF012
        ("up,ctrl+p", "step(-1)", "Up"),
        ("down,ctrl+n,tab", "step(1)", "Down"),
    ]

    def __init__(self, entries: Sequence[PaletteEntry]) -> None:
        super().__init__()
        self.entries = entries
        self.found: list[PaletteEntry] = list(entries)
        self.at = 0

    def compose(self) -> ComposeResult:
        """The field and the rows."""
        with Vertical(classes="box") as box:
            box.border_title = Text("Commands")
            field = Input(compact=True, placeholder="type to narrow")
            field.cursor_blink = False
            yield field
            yield Line()
            for row in range(_ROWS):
                yield Line(id=f"row-{row}")
            yield Line(id="about")

    def on_mount(self) -> None:
        """All commands."""
        self._show()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow."""
        event.stop()
        self.found, self.at = matching(self.entries, event.value), 0
        self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Run what is chosen."""
        event.stop()
        if self.found:
            self.dismiss(self.found[self.at])

    def on_resize(self) -> None:
        """The keys stay at the end of their rows."""
        self._show()

    def action_step(self, by: int) -> None:
        """The next row."""
        if self.found:
            self.at = (self.at + by) % len(self.found)
            self._show()

    def _show(self) -> None:
        ink = inks(self.app.current_theme.dark)
        first = max(0, self.at - _ROWS + 1)
        room = self.query_one("#about", Line).size.width - LABEL - WHERE - KEY - 5
        for row in range(_ROWS):
            at, text = first + row, Text()
            if at < len(self.found):
                text = self._row(self.found[at], at == self.at, ink, room)
            self.query_one(f"#row-{row}", Line).set(text)
        chosen = self.found[self.at] if self.found else None
        about = "" if chosen is None else chosen.why_not or chosen.command.help
        style = ink.warning if chosen is not None and chosen.why_not else ink.text
        self.query_one("#about", Line).set(Text(visible(about), style))

    @staticmethod
    def _row(entry: PaletteEntry, here: bool, ink: Inks, room: int) -> Text:
        """One command; dimmed where it cannot act, with the reason instead of what it does in ``room``."""
        text = Text("▸ " if here else "  ", ink.accent)
        color = ink.muted if entry.why_not else ink.accent if here else ink.text
        text.append(f"{fit(entry.label, LABEL)} ", Style(color=color, bold=here))
        text.append(f"{fit(entry.where, WHERE)} ", ink.muted if entry.why_not else ink.text)
        if room >= _LEAST:
            about = visible(entry.why_not or entry.command.help)
            text.append(f"{fit(about, room)} ", ink.muted)
        return text.append(fit(entry.command.shown.split(" ")[0], KEY), color)
