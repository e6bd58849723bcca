"""Tokens: which tokens of the prompt mattered, by one of many methods."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tui.session.state import State
from tui.slots.spec import OF_THE_PANE, Place, Slot, result_params
from tui.slots.tokens.keys import KEYS
from tui.slots.tokens.methods import painting, token_methods
from tui.slots.tokens.units import next_token_method, next_unit

if TYPE_CHECKING:
    from interpboard.results import Result


def _restore(slot: Slot, state: State, result: Result) -> State:
    """Parameters are kept by the method."""
    own = {k: v for k, v in result_params(result).items() if k not in OF_THE_PANE}
    params = {**state.params, result.analysis: own}
    return replace(slot.decided(state, result, {}), params=params)


TOKENS = Slot(
    "tokens",
    "integrated_gradients",
    "pane",
    restore=_restore,
    methods=token_methods,
    by_method=True,
    choose_method=next_token_method,
    choose_view=next_unit,
    place=Place(1, "Tokens", "which tokens mattered"),
    beside=("predictions", "what_if"),
    view="tui.slots.tokens.view:TokensPane",
    about=(
        "Which tokens of the prompt mattered, by integrated gradients.",
        "The scores sum to metric(prompt) − metric(zero embeddings), up to",
        "the completeness error that the legend shows.",
        "The legend says what either sign means for the metric. {key:view} takes words, sentences",
        "or the turns of a chat together. Left of a chat's lines: who speaks.",
    ),
    keys=KEYS,
    in_palette=painting,
)
