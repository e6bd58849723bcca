"""Heads: the effect of each attention head and MLP, and the type that each head is of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from interpboard.registry.component_names import written_component
from tui.session.state import Request, State
from tui.slots.heads.keys import KEYS
from tui.slots.heads.parts import as_shown
from tui.slots.spec import Place, Slot, restore_nothing, result_params

if TYPE_CHECKING:
    from interpboard.results import Result


def _request(slot: Slot, state: State) -> Request:
    """Estimates of every head first, replaced as the exact values come."""
    request = slot.plain_request(state)
    params = {**request.params, "preview": True}
    if params.get("ablation") == "resample":
        params["references"] = [state.corrupted or ""]
    return replace(request, params=params)


def _restore(slot: Slot, state: State, result: Result) -> State:
    parameters = result_params(result)
    if parameters.pop("references", None):
        state = replace(state, corrupted="\n".join(result.params["references"]))
    return slot.decided(state, result, parameters)


def _request_mlps(slot: Slot, state: State) -> Request | None:
    """Every MLP taken away, one at a time, beside the heads."""
    if state.model is None:
        return None
    ablation = state.params.get("heads", {}).get("ablation", "zero")
    if ablation not in ("zero", "mean"):
        return None
    from interpboard.registry.layer_names import layers_with_mlp

    layers = layers_with_mlp(state.model.info)
    ablations = "; ".join(f"{written_component(layer)}={ablation}" for layer in layers)
    return Request("what_if", state.question, {"interventions": ablations, "top_k": 1})


def _request_types(slot: Slot, state: State) -> Request | None:
    """Once the effects of the heads are known."""
    heads = state.slots["heads"]
    if heads.result is None or heads.question != state.question:
        return None
    return slot.plain_request(state)


HEADS = Slot(
    "heads",
    "head_ablation",
    "pane",
    build=_request,
    restore=_restore,
    leads=True,
    place=Place(2, "Heads", "which heads carry the answer"),
    beside=("mlp_ablation", "head_types"),
    draws_partial=True,
    as_shown=as_shown,
    view="tui.slots.heads.view:HeadsPane",
    about=(
        "Each attention head's output is replaced, one at a time; exact.",
        "effect = metric(ablated) − metric(clean)",
        "The legend says what either sign means for the metric.",
        "Letters, what type the head is of: on random repeated tokens p previous",
        "token, d duplicate token, i induction, c copying; here n name mover.",
        "Of an encoder also x next token, b and e what stands around a text, m mask;",
        "of cross attention s same, f following, a aligned token of the source.",
        "Beside its score z: how many deviations above shuffled data that is.",
    ),
    keys=KEYS,
)
MLP_ABLATION = Slot(
    "mlp_ablation",
    "what_if",
    build=_request_mlps,
    restore=restore_nothing,
    formerly=("mlps",),
    title="MLP ablation",
)
HEAD_TYPES = Slot("head_types", "head_scores", build=_request_types, follows_cursor=True)
