"""Which heads a person means by a few words: the strongest that Heads shows, a layer, a type. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from interpboard.errors import BadParameter
from interpboard.registry.layer_names import layer_names
from tui import scales, words
from tui.commands.command import shown_keys
from tui.session.state import State

if TYPE_CHECKING:
    from interpboard.interventions.sets import InterventionSet
    from tui.session.session import Session

USUAL = "strongest 10"
_STRONGEST = re.compile(r"(?:the )?(?:strongest\s*)?(\d{1,6})(?:\s+heads)?")
_LAYER = re.compile(r"(?:everything in )?layer\s*(\d{1,6})?")


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
        return in_layer(at, layer_names(state.model.info), state.model.info.heads, what)
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


def control_of(state: State, places: tuple[str, ...], seed: int, what: str) -> InterventionSet:
    """A random set of the size of ``places``, of the parts that the model has. Raises ``BadParameter``."""
    from interpboard.interventions.sets import control, every_place

    if state.model is None:
        raise BadParameter("The model is not loaded yet.")
    info = state.model.info
    without = _layers_without_heads(state)
    among = [
        place
        for place in every_place(layer_names(info), info.heads)
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
