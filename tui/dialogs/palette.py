"""The palette: every command by name. Made from the table of commands."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input

from interpboard.display import fit
from tui.commands.command import Command
from tui.dialogs.box import Box
from tui.theme import inks
from tui.widgets.line import Line

ROWS = 12


def matching(commands: Sequence[Command], query: str) -> list[Command]:
    """Commands whose name or help contains the words of ``query``; names first."""
    words = query.lower().split()

    def found(command: Command) -> int:
        name, about = command.label.lower(), command.help.lower()
        if all(word in name for word in words):
            return 0
        return 1 if all(word in f"{name} {about}" for word in words) else 2

    return sorted((c for c in commands if found(c) < 2), key=found)


class PaletteScreen(Box[Command]):
    """Type to narrow, up and down to choose, Enter to run."""

    BINDINGS = [  # noqa: RUF012
        ("up,ctrl+p", "step(-1)", "Up"),
        ("down,ctrl+n,tab", "step(1)", "Down"),
    ]

    def __init__(self, commands: Sequence[Command]) -> None:
        super().__init__()
        self.commands = commands
        self.found: list[Command] = list(commands)
        self.at = 0

    def compose(self) -> ComposeResult:
        """The field and the rows."""
        with Vertical(classes="box") as box:
            box.border_title = Text("Commands")
            field = Input(compact=True, placeholder="type to narrow")
            field.cursor_blink = False
            yield field
            yield Line()
            for row in range(ROWS):
                yield Line(id=f"row-{row}")

    def on_mount(self) -> None:
        """All commands."""
        self._show()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow."""
        event.stop()
        self.found, self.at = matching(self.commands, event.value), 0
        self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Run what is chosen."""
        event.stop()
        if self.found:
            self.dismiss(self.found[self.at])

    def action_step(self, by: int) -> None:
        """The next row."""
        if self.found:
            self.at = (self.at + by) % len(self.found)
            self._show()

    def _show(self) -> None:
        ink = inks(self.app.current_theme.dark)
        first = max(0, self.at - ROWS + 1)
        for row in range(ROWS):
            at, text = first + row, Text()
            if at < len(self.found):
                command, here = self.found[at], at == self.at
                text.append("▸ " if here else "  ", ink.accent)
                text.append(
                    fit(command.label, 16), Style(color=ink.accent if here else ink.text, bold=here)
                )
                text.append(f"{fit(command.help, 43)} ", ink.muted)
                text.append(fit(command.shown.partition(" ")[0], 8), ink.text)
            self.query_one(f"#row-{row}", Line).set(text)
