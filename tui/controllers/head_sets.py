"""Interventions on sets of heads: the strongest, a layer, a type; a random one of the size beside."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from interpboard.errors import BadParameter
from tui import scales, words
from tui.commands.command import shown_keys
from tui.controllers.ports import InputsLine
from tui.session.interventions import ListedIntervention
from tui.session.state import State

if TYPE_CHECKING:
    from interpboard.interventions.sets import InterventionSet
    from tui.controllers.notify import Tell
    from tui.session.session import Session

USUAL = "strongest 10"
HINTS = (
    "strongest 10: the heads with the largest effect in Heads, replaced as there",
    "layer 2: its heads and its MLP;  induction: every head of that type",
    "A random set of the same size stands beside it, off, with its effect.",
)
_STRONGEST = re.compile(r"(?:the )?(?:strongest\s*)?(\d{1,6})(?:\s+heads)?")
_LAYER = re.compile(r"(?:everything in )?layer\s*(\d{1,6})?")
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
            control = _control(self._session.state, chosen.places, 0, chosen.what)
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
            control = _control(self._session.state, chosen.places, seed, chosen.what)
        except BadParameter as problem:
            self._tell(str(problem), "warning")
            return
        self._session.intervene(stack.with_control(name, control.text))


def chosen_set(session: Session, asked: str) -> InterventionSet:
    """The set that ``asked`` names. Raises ``BadParameter`` for what is not there, or not known yet."""
    from interpboard.interventions.sets import in_layer, of_type

    state = session.state
    what = _what(state)
    strongest, layer = _STRONGEST.fullmatch(asked.lower()), _LAYER.fullmatch(asked.lower())
    if strongest is not None:
        return _strongest(session, int(strongest[1]), what)
    if state.model is None:
        raise BadParameter("The model is not loaded yet.")
    if layer is not None:
        at = int(layer[1]) if layer[1] else state.selection.layer
        if at is None or at < 0:
            raise BadParameter("Which layer?", "Write for example: layer 2.")
        return in_layer(at, state.model.info.layers, state.model.info.heads, what)
    types = state.slots["head_types"]
    if types.result is None or state.of_other_weights("head_types"):
        raise BadParameter(
            f"{asked!r} is no number and no layer, and the types of the heads are not known yet.",
            f"Heads shows them once it is computed; or write {USUAL}, layer 2.",
        )
    if asked.lower().replace(" ", "_") == "name_mover" and types.question != state.question:
        raise BadParameter("What moves names was found on an older prompt.", "Wait for Heads.")
    return of_type(types.result, asked.removeprefix("typed "), what)


def _what(state: State) -> str:
    """What stands in place of a head in the grid is put in place of the set."""
    from interpboard.interventions.sets import ablation_word

    return ablation_word(str(state.params.get("heads", {}).get("ablation", "zero")))


def _strongest(session: Session, number: int, what: str) -> InterventionSet:
    """Of what Heads shows now, if that answers the question, and with what Heads says is put there."""
    from interpboard.interventions.sets import strongest_of

    state = session.state
    heads = state.slots["heads"]
    shown: Any = heads.partial if heads.partial is not None else heads.result
    answered = scales.answered(heads)
    if shown is None or answered is None:
        raise BadParameter("The effects of the heads are not known yet.", "Heads computes them.")
    wanted = session.slots["heads"].request(state)
    if answered != wanted or state.of_other_weights("heads"):
        raise BadParameter(
            "Heads shows an older question.", f"{shown_keys('run')} there runs this one."
        )
    meaning, neutral = scales.slot_meaning(heads)
    metric = words.metric_name(heads.result.metric) if heads.result is not None else "the metric"
    return strongest_of(
        shown,
        number,
        what=what,
        neutral=neutral,
        meaning=meaning,
        by=f"{metric}, {answered.params.get('ablation', 'zero')} ablation",
        estimated=heads.partial is None
        and heads.result is not None
        and not words.exact(heads.result),
        unfinished=heads.partial is not None
        or (heads.result is not None and heads.result.partial is not None),
    )


def _control(state: State, places: tuple[str, ...], seed: int, what: str) -> InterventionSet:
    from interpboard.interventions.sets import control, every_place

    if state.model is None:
        raise BadParameter("The model is not loaded yet.")
    info = state.model.info
    without = _layers_without_heads(state)
    among = [
        place
        for place in every_place(info.layers, info.heads)
        if place.endswith("mlp") or place.partition(".")[0] not in without
    ]
    return control(places, among, seed, what)


def _layers_without_heads(state: State) -> set[str]:
    """Layers in which the finished grid has no head at all: nothing can be drawn there."""
    import numpy as np

    result = state.slots["heads"].result
    if result is None or result.values.ndim != 2:
        return set()
    rows = zip(result.axes[0].labels, result.values, strict=True)
    return {label for label, values in rows if bool(np.isnan(values).all())}


def _next_seed(items: tuple[ListedIntervention, ...], name: str) -> int:
    beside = next((item for item in items if item.control_of == name), None)
    found = _SEED.search(beside.name) if beside is not None else None
    return int(found[1]) + 1 if found is not None else 0
