"""Saved runs back on the screen: into the panes' state, without computing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from interpboard.reproduce import own_params
from tui.controllers.saver import ask_of
from tui.session.interventions import Held, read
from tui.session.state import SLOTS, Model, Request, Slot, State
from tui.slots.questions import HELD, MANY_METHODS, question
from tui.slots.tokens.methods import OF_THE_PANE

if TYPE_CHECKING:
    from interpboard.results import Document, Result
    from interpboard.store import Run

_SITES = {"mlp": "mlp", "attn": "attn", "mlp_out": "mlp", "attn_out": "attn"}
Found = Sequence[tuple["Run", "Document"]]


def restored(state: State, found: Found, held: Held | None = None) -> State:
    """``state`` with the results of ``found`` in their slots and the first one's question asked.

    ``held`` is held instead of what the results say, and only results of just that are shown.
    Other slots are emptied: what they hold answers another question.
    """
    first, document = found[0]
    ask = ask_of(first)
    model = state.model
    if model is None or model.info != document.model:
        paths = {saved.results[0].made_by.path for _, saved in found}
        path = "replay" if "replay" in paths else ""  # others take it also where replays work
        model = Model(info=document.model, path=path, parameters=0, memory_bytes=0)
    state = replace(state, ask=ask, good=None, model=model, params={}, analyses={}, held=Held())
    for run, saved in reversed(found):  # what the first says holds
        state = _decided(state, run.slot, saved.results[0])
    if held is not None:
        state = replace(state, held=held)
    slots = {name: Slot() for name in state.slots}
    for run, saved in found:
        result = saved.results[0]
        of_others = run.slot in HELD and result.params["interventions"] != state.held.text
        if run.slot in slots and not of_others:
            request = question(state, run.slot) if run.slot not in HELD else None
            request = request or Request(result.analysis, ask, own_params(result))
            slots[run.slot] = Slot(
                result=result, prompt=saved.prompt, of=saved.model, request=request
            )
    return replace(state, slots=slots)


def _decided(state: State, slot: str, result: Result) -> State:
    """``state`` with what the user had decided for ``slot``."""
    params = result.params
    if slot in HELD:
        corrupted = params.get("source") or state.corrupted
        return replace(state, held=read(str(params["interventions"])), corrupted=corrupted)
    if slot in ("mlps", "predictions", "other"):
        return state
    own = own_params(result)
    if slot == "circuit":
        state = replace(state, corrupted=str(params["corrupted"]) or state.corrupted)
        state = replace(state, dataset=str(params["dataset"]) or state.dataset)
        own.pop("corrupted", None)
        own["behavior"] = params["behavior"]
    if slot == "heads" and own.pop("references", None):
        state = replace(state, corrupted="\n".join(params["references"]))
    if "translators" in own:
        state = replace(state, translators=str(own["translators"]))
        own = {}
    chosen = {**state.params}
    if slot in MANY_METHODS:
        own = {k: v for k, v in own.items() if k not in OF_THE_PANE}
        chosen[result.analysis] = own
    if slot == "trace":
        own = {"site": _SITES.get(str(params.get("state", params.get("site"))), "resid")}
        if "corrupted" in params:
            state = replace(state, corrupted=str(params["corrupted"]))
        else:
            state = replace(state, marked=(state.ask.text, tuple(params["subject"])))
            if own["site"] != "resid" and "window" in params:
                chosen[result.analysis] = {**chosen[result.analysis], "window": params["window"]}
    analyses = dict(state.analyses)
    if result.analysis != SLOTS.get(slot):
        analyses[slot] = result.analysis
    if slot != "tokens":
        chosen[slot] = own
    return replace(state, params=chosen, analyses=analyses)
