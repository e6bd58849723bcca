"""Saved runs back on the screen: into the panes' state, without computing anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from interpboard.reproduce import own_params
from tui.saving import ask_of
from tui.state import Model, Slot, State

if TYPE_CHECKING:
    from interpboard.results import Document
    from interpboard.store import Run

Found = Sequence[tuple["Run", "Document"]]


def restored(state: State, found: Found) -> State:
    """``state`` with the results of ``found`` in their slots and the first one's question asked.

    Other slots are emptied: what they hold answers another question.
    """
    first, document = found[0]
    ask = ask_of(first)
    model = state.model
    if model is None or model.info != document.model:
        path = document.results[0].made_by.path
        model = Model(info=document.model, path=path, parameters=0, memory_bytes=0)
    slots = {name: Slot() for name in state.slots}
    params: dict[str, dict[str, Any]] = {}
    for run, saved in found:
        result = saved.results[0]
        if run.slot in slots:
            slots[run.slot] = Slot(result=result, prompt=saved.prompt, ask=ask)
            params[run.slot] = own_params(result)
    return replace(state, ask=ask, good=None, model=model, slots=slots, params=params)
