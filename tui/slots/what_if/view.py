"""The list of interventions: switch each off and on, add one, remove one."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical

from interpboard.display import fit, visible
from tui import words
from tui.commands.command import bindings, keyed
from tui.commands.places import INTERVENTIONS, UP_DOWN
from tui.dialogs.box import Box, Live
from tui.session.interventions import ListedIntervention, ListedInterventions, split
from tui.session.state import State
from tui.slots.what_if.effects import effects_alone
from tui.theme import inks
from tui.widgets.line import Line

if TYPE_CHECKING:
    from tui.controllers.controllers import Controllers

_ROWS = 12
DETAILS = 2  # lines with the places of a set
_WIDTH = 72
_HINTS = (
    "{key:what_if_switch} off/on  {key:what_if_add} add  {key:what_if_drop} remove  "
    "{key:what_if_undo} undo  {key:what_if_redo} redo  {key:what_if_leave} closes",
    "{key:what_if_set} adds a set of heads  {key:what_if_exchange} the set, or its random one  "
    "{key:what_if_another} another of those",
)
_PLACES = ("2.5=zero", "1.mlp=mean", "3.resid@4=patch")
_IN_STRIPS = ("X1.3=zero", "E0.mlp=mean", "E1.resid@4=patch")
_ADAPTER = "adapter=off"
_GRAMMAR = (
    'Add for example  {places}   @4=" Rome"',
    '2.resid=steer "vector.npy" * 2   patch: values of the corrupted prompt',
)


def grammar_lines(two: bool, adapter: bool = False) -> tuple[str, ...]:
    """Examples of interventions; ``two``: the model's layers are those of an encoder and a decoder;
    ``adapter``: there is one at work."""
    first, second, third = _IN_STRIPS if two else _PLACES
    places = "   ".join((first, _ADAPTER if adapter else second, third))
    return tuple(line.replace("{places}", places) for line in _GRAMMAR)


def _examples(state: State) -> tuple[str, ...]:
    info = None if state.model is None else state.model.info
    if info is None:
        return grammar_lines(False)
    at_work = bool(info.adapters) and info.options.adapter_state == "on"
    return grammar_lines(bool(info.layer_names), at_work)


class InterventionsScreen(Live, Box[None]):
    """The interventions, with the effect of each alone where it is known."""

    BINDINGS = [*bindings(INTERVENTIONS), *bindings(UP_DOWN)]  # noqa: RUF012

    def __init__(self, host: Controllers) -> None:
        super().__init__()
        self.host, self.at = host, 0

    def compose(self) -> ComposeResult:
        """The rows and the hints."""
        with Vertical(classes="box") as box:
            box.border_title = Text("What if")
            for row in range(_ROWS):
                yield Line(id=f"row-{row}")
            for row in range(DETAILS):
                yield Line(id=f"places-{row}", classes="hint")
            for hint in (*map(keyed, _HINTS), *_examples(self.host.state)):
                yield Line(Text(hint), classes="hint")

    def on_mount(self) -> None:
        """The current interventions."""
        self.show(self.host.state)

    def show(self, state: State) -> None:
        """Show a snapshot."""
        if not self.composed:
            return
        ink, stack = inks(self.app.current_theme.dark), state.interventions
        effects = effects_alone(state)
        self.at = max(0, min(self.at, len(stack.items) - 1))
        first = max(0, self.at - _ROWS + 1)
        for row in range(_ROWS):
            at, text = first + row, Text()
            if at < len(stack.items):
                item, here = stack.items[at], at == self.at
                text.append("▸ " if here else "  ", ink.accent)
                text.append("on   " if item.on else "off  ", ink.accent if item.on else ink.muted)
                style = Style(color=ink.text if item.on else ink.muted, bold=here)
                text.append(fit(visible(_row(item)), 48), style)
                if item.text in effects:
                    text.append(f" alone {words.signed(effects[item.text])}", ink.text)
            elif at == 0:
                text.append("No interventions.", ink.muted)
            self.query_one(f"#row-{row}", Line).set(text)
        for row, places in enumerate(self._places(stack.items)):
            self.query_one(f"#places-{row}", Line).set(Text(places, ink.muted))

    def _places(self, items: ListedInterventions) -> list[str]:
        """The places of the set under the cursor, on the lines that there are for them."""
        item = items[self.at] if items else None
        if item is None or not item.is_set:
            return [""] * DETAILS
        wrapped = wrap(f"{visible(item.what)} at {' '.join(map(visible, item.places))}", _WIDTH)
        if len(wrapped) > DETAILS:
            left = len(" ".join(wrapped[DETAILS - 1 :]).split())
            more = keyed(f" … {len(item.places)} in all, {{key:export}} writes them")
            wrapped[DETAILS - 1] = wrapped[DETAILS - 1][: _WIDTH - len(more)].rpartition(" ")[0]
            wrapped[DETAILS - 1] += more if left else ""
        return (wrapped + [""] * DETAILS)[:DETAILS]

    def action_move(self, direction: str) -> None:
        """The next row, or the one before."""
        self.at += {"down": 1, "up": -1}[direction]
        self.show(self.host.state)

    def action_switch(self) -> None:
        """Off, or on again."""
        session = self.host.session
        if session.state.interventions.items:
            session.intervene(session.state.interventions.switched(self.at))
            self.show(session.state)

    def action_drop(self) -> None:
        """Take it off the list."""
        session = self.host.session
        if session.state.interventions.items:
            session.intervene(session.state.interventions.without(self.at))
            self.show(session.state)

    def action_add(self) -> None:
        """Ask for one more, in the grammar's words."""
        session = self.host.session

        def answered(text: str) -> None:
            stack = session.state.interventions
            for item in split(text):
                stack = stack.put(item)
            session.intervene(stack)
            self.show(session.state)

        examples = _examples(self.host.state)
        self.host.screens.input_line("Add an intervention", examples, "", answered)

    def action_add_set(self) -> None:
        """Ask which set of heads."""
        self.host.head_sets.choose()

    def action_exchange(self) -> None:
        """The set off and the random one beside it on, or back."""
        self.host.head_sets.exchange(self.at)

    def action_another(self) -> None:
        """Draw another random set beside the one under the cursor."""
        self.host.head_sets.another_control(self.at)

    def action_undo(self) -> None:
        """The list before the last change."""
        self.host.interventions.undo()
        self.show(self.host.state)

    def action_redo(self) -> None:
        """What was undone."""
        self.host.interventions.redo()
        self.show(self.host.state)


def _row(item: ListedIntervention) -> str:
    """A set by its name and size."""
    if not item.is_set:
        return item.text
    return f"{item.label}: {len(item.places)}, {item.what}{', control' if item.control_of else ''}"
