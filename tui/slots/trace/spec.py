"""Trace: clean states put back into a corrupted run, layer by position."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tui.session.state import Request, State
from tui.slots.spec import OF_THE_PANE, Place, Slot, restore_nothing, result_params
from tui.slots.trace.keys import KEYS, next_restored_state, tracing

if TYPE_CHECKING:
    from interpboard.results import Result

_METHODS = ("causal_trace", "activation_patching")
# Layers restored together: ten of GPT-2 XL's 48 (Meng et al. 2022), of others as large a share.
WINDOW = 10 / 48
_PATCHED = {"resid": "resid_pre", "mlp": "mlp_out", "attn": "attn_out"}
_SITES = {"mlp": "mlp", "attn": "attn", "mlp_out": "mlp", "attn_out": "attn"}


def _request(slot: Slot, state: State) -> Request | None:
    """A causal trace once there is a subject, patching once there is a corrupted prompt."""
    site = state.params.get(slot.name, {}).get("site", "resid")
    parameters = slot.params_in(state)
    if slot.analysis_in(state) == "causal_trace":
        if not state.subject:
            return None
        params: dict[str, Any] = {"subject": list(state.subject), "state": site}
        if site != "resid" and state.model is not None:
            params["window"] = max(1, round(state.model.info.layers * WINDOW))
        return Request("causal_trace", state.question, {**params, **parameters})
    if not state.corrupted:
        return None
    params = {"corrupted": state.corrupted, "site": _PATCHED[site], "preview": True}
    return Request("activation_patching", state.question, {**params, **parameters})


def _restore(slot: Slot, state: State, result: Result) -> State:
    """The method's own parameters by its name; the site is the pane's."""
    params = result.params
    parameters = {k: v for k, v in result_params(result).items() if k not in OF_THE_PANE}
    site = _SITES.get(str(params.get("state", params.get("site"))), "resid")
    if "corrupted" in params:
        state = replace(state, corrupted=str(params["corrupted"]))
    else:
        state = replace(state, marked=(state.question.text, tuple(params["subject"])))
        if site != "resid" and "window" in params:
            parameters["window"] = params["window"]
    state = replace(state, params={**state.params, result.analysis: parameters})
    return slot.decided(state, result, {"site": site})


def _request_corrupted(slot: Slot, state: State) -> Request | None:
    """What the model says of the corrupted prompt."""
    if not state.corrupted or state.analyses.get("trace") != "activation_patching":
        return None
    return Request("predictions", state.beside(state.corrupted), {})


CORRUPTED_PREDICTIONS: Slot = Slot(
    "corrupted_predictions",
    "predictions",
    build=_request_corrupted,
    restore=restore_nothing,
    formerly=("other",),
    resumes=False,  # its text is not the prompt
    shown=lambda state: bool(state.corrupted) and not CORRUPTED_PREDICTIONS.stale(state),
)
TRACE = Slot(
    "trace",
    "causal_trace",
    "pane",
    build=_request,
    restore=_restore,
    methods=lambda: _METHODS,
    with_corrupted="activation_patching",
    by_method=True,
    choose_view=next_restored_state,
    place=Place(4, "Trace", "where the fact passes", group="right"),
    beside=("corrupted_predictions",),
    draws_partial=True,
    view="tui.slots.trace.view:TracePane",
    about=(
        "Clean states put back into a corrupted run, one at a time; exact.",
        "Causal trace: noise on the subject that {key:subject} marks in Tokens.",
        "Activation patching: from the corrupted prompt, under the clean one.",
        "{key:view} chooses stream, MLP or attention, {key:method} the method. Rows: in 3 is the",
        "stream before layer 3, which is patched; out 3 the one after it, restored.",
    ),
    keys=KEYS,
    in_palette=tracing,
)
