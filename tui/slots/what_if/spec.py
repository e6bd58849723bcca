"""What if: the run with the interventions beside the one without them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tui.session import interventions
from tui.session.state import Request, State
from tui.slots.spec import Slot

if TYPE_CHECKING:
    from interpboard.results import Result

# What the lens calls a parameter, and what it is called here: the edited run is read as the clean one.
_OF_THE_LENS = {"site": "lens_site", "translators": "translators"}


def edited_request(state: State, analysis: str) -> Request | None:
    """``analysis`` of the run with the interventions that are on; None where there are none."""
    text = state.interventions.text
    if not text:
        return None
    params: dict[str, Any] = {"interventions": text}
    if any(item.what == "patch" for item in state.interventions.on):
        params["source"] = state.corrupted or ""
    return Request(analysis, state.question, params)


def _request(slot: Slot, state: State) -> Request | None:
    request, lens = edited_request(state, slot.analysis), state.slots["lens"].request
    beside = state.interventions.compared
    if request is not None and beside:
        params = {**request.params, "controls": "; ".join(item.text for item in beside)}
        if any(item.what == "patch" for item in beside):
            params["source"] = state.corrupted or ""
        request = replace(request, params=params)
    if request is None or lens is None or lens.question != state.question:
        return request
    same = {_OF_THE_LENS[k]: v for k, v in lens.params.items() if k in _OF_THE_LENS}
    return replace(request, params={**request.params, **same})


def restore_edits(slot: Slot, state: State, result: Result) -> State:
    """The interventions that ``result`` was computed with."""
    corrupted = result.params.get("source") or state.corrupted
    beside = str(result.params.get("controls", ""))
    stack = interventions.stack_from_text(str(result.params["interventions"]), beside)
    return replace(state, interventions=stack, corrupted=corrupted)


def _refused(state: State, asked: Request, kind: str) -> State:
    """The engine could not read the list: back to the one before it.

    One that it has read before does not fit the prompt: what takes values from another prompt goes. The
    list before it would bring back what somebody took away.
    """
    if asked.params.get("interventions") != state.interventions.text:
        return state
    read = state.slots["what_if"].request
    if read is not None and read.params.get("interventions") == state.interventions.text:
        if kind == "bad_prompt":
            return replace(state, interventions=state.interventions.without_patches())
        return state
    return replace(state, interventions=state.interventions.refused())


WHAT_IF = Slot(
    "what_if",
    "what_if",
    build=_request,
    restore=restore_edits,
    refused=_refused,
    always=True,
    follows_cursor=True,
    of_edits=True,
    shown=lambda state: state.edited("what_if") is not None,
)
