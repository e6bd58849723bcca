"""Tokens: which tokens of the prompt mattered, by one of many methods."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tui.commands.command import keyed
from tui.session.state import Request, State
from tui.slots.spec import OF_THE_PANE, Place, Slot, result_params
from tui.slots.tokens.keys import KEYS
from tui.slots.tokens.losses import LOSSES, WITHOUT_MASK, losses_request
from tui.slots.tokens.methods import painting, token_methods
from tui.slots.tokens.units import (
    marked_in,
    next_token_method,
    next_unit,
    spans_in,
    spans_text,
    unit_in,
)

if TYPE_CHECKING:
    from interpboard.results import Result


def _restore(slot: Slot, state: State, result: Result) -> State:
    """Parameters are kept by the method."""
    beside = (*OF_THE_PANE, "interventions", "source") if result.analysis == LOSSES else OF_THE_PANE
    parameters = {k: v for k, v in result_params(result).items() if k not in beside}
    params = {**state.params, result.analysis: parameters}
    spans = marked_in(result)
    if spans:
        state = replace(state, spans=(state.question.text, spans))
    return replace(slot.decided(state, result, {}), params=params)


def _request(slot: Slot, state: State) -> Request:
    """With the spans of this prompt; where it has none, by sentence. Losses with what is on."""
    request = slot.plain_request(state)
    if request.analysis == LOSSES or state.lacks_mask:
        return losses_request(request, state)
    if request.params.get("unit") != "span":
        return request
    parameters: dict[str, Any] = {"unit": unit_in(state)}
    if spans_in(state):
        parameters["spans"] = spans_text(spans_in(state))
    return replace(request, params={**request.params, **parameters})


def _without_mask(state: State) -> str:
    return keyed(WITHOUT_MASK) if state.lacks_mask else ""


TOKENS = Slot(
    "tokens",
    "integrated_gradients",
    "pane",
    build=_request,
    restore=_restore,
    methods=token_methods,
    by_method=True,
    choose_method=next_token_method,
    only_method=_without_mask,
    choose_view=next_unit,
    place=Place(1, "Tokens", "which tokens mattered"),
    beside=("predictions", "what_if", "likely_tokens"),
    view="tui.slots.tokens.view:TokensPane",
    about=(
        "Which tokens of the prompt mattered, by integrated gradients.",
        "The scores sum to metric(prompt) − metric(zero embeddings), up to",
        "the completeness error that the legend shows.",
        "The legend says what either sign means for the metric. {key:view} sums words, sentences,",
        "the turns of a chat, or spans. Left of a chat's lines: who speaks.",
        "{key:span} makes marked tokens a span ⟦so⟧; {key:knockout} hides each",
        "unit from the answer.",
        "{key:whole_text} paints how likely each token was: loss, surprise, entropy by {key:view},",
        "and what the interventions that are on change; {key:explain_here} explains that token.",
    ),
    keys=KEYS,
    in_palette=painting,
)
