"""The list of interventions: switch each off and on, add one, remove one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical

from interpboard.display import fit, visible
from tui import words
from tui.dialogs.box import Box, Live
from tui.session.state import State
from tui.slots.what_if.spec import WHAT_IF
from tui.theme import inks
from tui.widgets.line import Line

if TYPE_CHECKING:
    from tui.controllers.controllers import Controllers

ROWS = 12
HINTS = (
    "Space off/on  a add  d remove  u undo  Ctrl+r redo  q closes",
    'Add for example  2.5=zero   1.mlp=mean   3.resid@4=patch   @4=" Rome"',
    '2.resid=steer "vector.npy" * 2   patch takes its values from the corrupted prompt',
)


class InterventionsScreen(Live, Box[None]):
    """The interventions, with the effect of each alone where it is known."""

    BINDINGS = [  # noqa: RUF012
        ("q,backspace,i", "leave", "Back"),
        ("j,down", "step(1)", "Down"),
        ("k,up", "step(-1)", "Up"),
        ("space,enter", "switch", "Off/on"),
        ("d,delete", "drop", "Let go"),
        ("a", "add", "Add"),
        ("u", "undo", "Undo"),
        ("ctrl+r", "redo", "Redo"),
    ]

    def __init__(self, host: Controllers) -> None:
        super().__init__()
        self.host, self.at = host, 0

    def compose(self) -> ComposeResult:
        """The rows and the hints."""
        with Vertical(classes="box") as box:
            box.border_title = Text("What if")
            for row in range(ROWS):
                yield Line(id=f"row-{row}")
            yield Line()
            for hint in HINTS:
                yield Line(Text(hint), classes="hint")

    def on_mount(self) -> None:
        """The current interventions."""
        self.show(self.host.state)

    def show(self, state: State) -> None:
        """Show a snapshot."""
        if not self.composed:
            return
        ink, stack = inks(self.app.current_theme.dark), state.interventions
        effects = _alone(state)
        self.at = max(0, min(self.at, len(stack.items) - 1))
        first = max(0, self.at - ROWS + 1)
        for row in range(ROWS):
            at, text = first + row, Text()
            if at < len(stack.items):
                item, here = stack.items[at], at == self.at
                text.append("▸ " if here else "  ", ink.accent)
                text.append("on   " if item.on else "off  ", ink.accent if item.on else ink.muted)
                style = Style(color=ink.text if item.on else ink.muted, bold=here)
                text.append(fit(visible(item.text), 44), style)
                if item.on and item.text in effects:
                    text.append(f" alone {words.signed(effects[item.text])}", ink.text)
            elif at == 0:
                text.append("No interventions.", ink.muted)
            self.query_one(f"#row-{row}", Line).set(text)

    def action_step(self, by: int) -> None:
        """The next row."""
        self.at += by
        self.show(self.host.state)

    def action_switch(self) -> None:
        """Off, or on again."""
        session = self.host.session
        if session.state.interventions.items:
            session.intervene(session.state.interventions.switched(self.at))
            self.show(session.state)

    def action_drop(self) -> None:
        """Let it go."""
        session = self.host.session
        if session.state.interventions.items:
            session.intervene(session.state.interventions.without(self.at))
            self.show(session.state)

    def action_add(self) -> None:
        """Ask for one more, in the grammar's words."""
        session = self.host.session

        def answered(text: str) -> None:
            if text.strip():
                session.intervene(session.state.interventions.put(text.strip()))
                self.show(session.state)

        self.host.screens.input_line("Add an intervention", HINTS[1:], "", answered)

    def action_undo(self) -> None:
        """The list before the last change."""
        self.host.interventions.undo()
        self.show(self.host.state)

    def action_redo(self) -> None:
        """What was undone."""
        self.host.interventions.redo()
        self.show(self.host.state)


def _alone(state: State) -> dict[str, float]:
    """Effect of each intervention made alone, by its text, as far as the result is current."""
    edited = state.edited()
    if edited is None or WHAT_IF.stale(state):
        return {}
    items = state.interventions.on
    if len(items) == 1:
        return {items[0].text: float(edited.extra["effect"].values)}
    values = edited.extra["alone"].values
    return {item.text: float(value) for item, value in zip(items, values, strict=True)}
