"""Interventions on sets of heads: the strongest, a layer, a type; a random one of the size beside."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from interpboard.errors import BadParameter
from tui.controllers.ports import InputsLine
from tui.session.interventions import ListedIntervention
from tui.slots.heads.sets import USUAL, chosen_set, control_of

if TYPE_CHECKING:
    from tui.controllers.notify import Tell
    from tui.session.session import Session

HINTS = (
    "strongest 10: heads with the largest effect in Heads, replaced as there",
    "layer 2: its heads and its MLP;  induction: every head of that type",
    "A random set of the same size stands beside it, off, with its effect.",
)
_SEED = re.compile(r"seed (\d{1,9})$")


class HeadSets:
    """``ask_line`` asks for a line of text."""

    def __init__(self, session: Session, ask_line: InputsLine, tell: Tell) -> None:
        self._session, self._ask_line, self._tell = session, ask_line, tell

    def choose(self) -> None:
        """Ask which set of heads to intervene on."""
        self._ask_line("Intervene on a set of heads", HINTS, USUAL, self.add)

    def add(self, asked: str) -> None:
        """Intervene on the set that ``asked`` names, its control beside it; say why where it cannot be."""
        if not asked.strip():
            return
        try:
            chosen = chosen_set(self._session, asked.strip())
        except BadParameter as problem:
            self._tell(str(problem), "warning")
            return
        stack = self._session.state.interventions
        beside, note = "", ""
        try:
            control = control_of(self._session.state, chosen.places, 0, chosen.what)
            beside, note = control.text, f" {control.name} stands beside it."
        except BadParameter as problem:
            note = f" {problem.message}"
        self._session.intervene(stack.with_set(chosen.text, beside))
        self._tell(f"{chosen.name}: {chosen.about}.{note}")

    def exchange(self, at: int) -> None:
        """The set at ``at`` off and the random one beside it on, or back."""
        stack = self._session.state.interventions
        if not stack.items:
            return
        exchanged = stack.exchanged(at)
        if exchanged is stack:
            self._tell("There is no set with a random one beside it here.")
        else:
            self._session.intervene(exchanged)

    def another_control(self, at: int) -> None:
        """Another random set beside the one at ``at``: the next seed."""
        stack = self._session.state.interventions
        item = stack.items[at] if at < len(stack.items) else None
        name = (item.control_of or item.name) if item is not None else ""
        chosen = next((each for each in stack.items if name and each.name == name), None)
        if chosen is None:
            self._tell("A random set stands beside a set with a name.")
            return
        try:
            seed = _next_seed(stack.items, name)
            control = control_of(self._session.state, chosen.places, seed, chosen.what)
        except BadParameter as problem:
            self._tell(str(problem), "warning")
            return
        self._session.intervene(stack.with_control(name, control.text))


def _next_seed(items: tuple[ListedIntervention, ...], name: str) -> int:
    beside = next((item for item in items if item.control_of == name), None)
    found = _SEED.search(beside.name) if beside is not None else None
    return int(found[1]) + 1 if found is not None else 0
