"""What each slot is to ask of the engine, given everything the user decided. Pure.

A slot without a question shows nothing new: a trace before there is a subject, a what-if with nothing
held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tui.session.state import SLOTS, Ask, Request, State

# Asked with every new ask, in sight or not: cheap, and other panes lean on them.
CHEAP = ("predictions", "what_if")
# What an edited run says; they name what is held.
HELD = ("what_if", "logits_edited")
# Asked anew when the selection comes to rest elsewhere, as long as they are in sight.
FOLLOWING = ("attention", "neuron")
# Asked once what they go with is there: the effects of heads, the lens.
AFTERWARDS = ("head_types", "what_if")
# Of the demo model, on the circuit's screen; they do not look at the prompt.
BEHAVIOURS = ("ioi", "induction", "facts", "agreement", "greater_than")
# Their analysis is one of several: parameters are kept by its name.
MANY_METHODS = ("tokens", "trace")
# A question that names no metric of its own explains the logit where this one cannot be taken apart.
_LINEAR = ("logit", "logit_diff")
# Layers restored together: ten of GPT-2 XL's 48 (Meng et al. 2022), of others as large a share.
WINDOW = 10 / 48


def question(state: State, slot: str) -> Request | None:
    """What ``slot`` asks now, None if it has nothing to ask."""
    make = _SPECIAL.get(slot)
    if make is not None:
        return make(state)
    return _plain(state, slot)


def _plain(state: State, slot: str) -> Request:
    analysis = state.analyses.get(slot, SLOTS[slot])
    return Request(analysis, state.ask, chosen_params(state, slot))


def chosen_params(state: State, slot: str) -> dict[str, Any]:
    """What the user chose for the analysis of ``slot``; one of many methods keeps its own."""
    return dict(state.params.get(params_key(state, slot), {}))


def params_key(state: State, slot: str) -> str:
    """Where ``State.params`` keeps those of ``slot``."""
    return state.analyses.get(slot, SLOTS[slot]) if slot in MANY_METHODS else slot


def _held(state: State, analysis: str = "what_if") -> Request | None:
    text = state.held.text
    if not text:
        return None
    params = {"interventions": text}
    if any(item.what == "patch" for item in state.held.on):
        params["source"] = state.corrupted or ""
    lens = state.slots["lens"].request
    if analysis == "what_if" and lens is not None and lens.ask == state.ask:  # read as pane 3 is
        names = {"site": "lens_site", "translators": "translators"}
        params |= {names[name]: value for name, value in lens.params.items() if name in names}
    return Request(analysis, state.ask, params)


def _logits_edited(state: State) -> Request | None:
    request = _held(state, "edited_direct_attribution")
    return _linear(state, request) if request is not None else None


def _mlps(state: State) -> Request | None:
    """Every MLP taken away, one at a time, beside the heads."""
    if state.model is None:
        return None
    ablation = state.params.get("heads", {}).get("ablation", "zero")
    if ablation not in ("zero", "mean"):
        return None
    layers = range(state.model.info.layers)
    held = "; ".join(f"{layer}.mlp={ablation}" for layer in layers)
    return Request("what_if", state.ask, {"interventions": held, "top_k": 1})


def _heads(state: State) -> Request:
    """Estimates of every head first, replaced as the exact values come."""
    request = _plain(state, "heads")
    params = {**request.params, "preview": True}
    if params.get("ablation") == "resample":
        params["references"] = [state.corrupted or ""]
    return replace(request, params=params)


def _lens(state: State) -> Request | None:
    """Plain at a site, or tuned with the translators that are open."""
    if state.analyses.get("lens") != "tuned_lens":
        return _plain(state, "lens")
    if not state.translators:
        return None
    return Request("tuned_lens", state.ask, {"translators": state.translators})


def _head_types(state: State) -> Request | None:
    """Which types the heads are of, once their effects are known."""
    heads = state.slots["heads"]
    if heads.result is None or heads.ask != state.ask:
        return None
    return _plain(state, "head_types")


def looked_at(state: State) -> tuple[int, int]:
    """(layer, head) that is selected; before that the strongest known head, else the first one.

    Where a whole layer is selected: the head that was looked at last, in that layer.
    """
    layer, head = state.selection.layer, state.selection.head
    if layer is not None and head is not None:
        return max(0, layer), head
    found, last = state.slots["heads"].result, state.slots["attention"].request
    strongest = (0, 0)
    if found is not None:
        strongest = divmod(int(abs(found.values - found.neutral).argmax()), found.values.shape[1])
    if layer is None:
        return strongest
    return max(0, layer), int(last.params["heads"][0]) if last is not None else strongest[1]


def _attention(state: State) -> Request | None:
    """The one slice that is shown."""
    if state.model is None:
        return None
    info, (layer, head) = state.model.info, looked_at(state)
    params = {"layers": [min(layer, info.layers - 1)], "heads": [min(head, info.heads - 1)]}
    return Request("attention", state.ask, params)


def neuron_at(state: State) -> tuple[int, int] | None:
    """(layer, number) of the neuron that is selected, else of the strongest of the selected layer.

    None while it is not known which that is.
    """
    layer, chosen = state.selection.layer, state.selection.neuron
    if chosen is not None and layer in (None, chosen[0]):
        return chosen
    known = state.slots["neurons"]
    if known.result is None or known.ask != state.ask:
        return None
    sizes = abs(known.result.values)
    sizes[sizes != sizes] = -1.0  # narrower layers end in NaN
    if layer is not None and 0 <= layer < len(sizes):
        return layer, int(sizes[layer].argmax())
    return divmod(int(sizes.argmax()), sizes.shape[1])


def _neuron(state: State) -> Request | None:
    """The chosen neuron, with the one layer that has it."""
    chosen = neuron_at(state)
    if chosen is None:
        return None
    params = {"neuron": f"{chosen[0]}.{chosen[1]}", "layers": [chosen[0]]}
    return _linear(state, Request("neurons", state.ask, params))


def _linear(state: State, request: Request) -> Request:
    """Only logits are sums of parts."""
    return request if state.ask.metric in _LINEAR else replace(request, metric="logit")


def _other(state: State) -> Request | None:
    if not state.corrupted or state.analyses.get("trace") != "activation_patching":
        return None
    return Request("predictions", replace(state.ask, text=state.corrupted), {})


def _trace(state: State) -> Request | None:
    site = state.params.get("trace", {}).get("site", "resid")
    own = chosen_params(state, "trace")
    if state.analyses.get("trace", SLOTS["trace"]) == "causal_trace":
        if not state.subject:
            return None
        params = {"subject": list(state.subject), "state": site}
        if site != "resid" and state.model is not None:
            params["window"] = max(1, round(state.model.info.layers * WINDOW))
        return Request("causal_trace", state.ask, {**params, **own})
    if not state.corrupted:
        return None
    names = {"resid": "resid_pre", "mlp": "mlp_out", "attn": "attn_out"}
    params = {"corrupted": state.corrupted, "site": names[site], "preview": True, **own}
    return Request("activation_patching", state.ask, params)


def _circuit(state: State) -> Request | None:
    """Of a named behaviour, of a file of prompts, or of the pair of prompts."""
    own = chosen_params(state, "circuit")
    if own.get("behavior") or own.get("dataset"):
        return Request("circuit", Ask(), own)
    if not state.corrupted:
        return None
    own["corrupted"] = state.corrupted
    own = {name: value for name, value in own.items() if name not in ("behavior", "dataset")}
    return _linear(state, Request("circuit", state.ask, own))


def _steering(state: State) -> Request | None:
    """Once somebody said what the vector is; it is kept, so that it can be held."""
    chosen = chosen_params(state, "steering")
    if not chosen:
        return None
    if not chosen.get("vector"):
        from tui.slots.steering.vectors import vector_file

        chosen["save"] = str(vector_file(state, chosen))
    return Request("steering", state.ask, chosen)


def _job(state: State, slot: str) -> Request | None:
    """Once somebody said on which text; the prompt is not looked at."""
    chosen = chosen_params(state, slot)
    return Request(SLOTS[slot], Ask(state.ask.text), chosen) if chosen else None


_SPECIAL: dict[str, Callable[[State], Request | None]] = {
    "what_if": _held,
    "mlps": _mlps,
    "heads": _heads,
    "head_types": _head_types,
    "lens": _lens,
    "attention": _attention,
    "logits": lambda state: _linear(state, _plain(state, "logits")),
    "logits_edited": _logits_edited,
    "neurons": lambda state: _linear(state, _plain(state, "neurons")),
    "neuron": _neuron,
    "other": _other,
    "trace": _trace,
    "circuit": _circuit,
    "steering": _steering,
    "training": lambda state: _job(state, "training"),
    "collecting": lambda state: _job(state, "collecting"),
}
