"""Saved runs back on the screen: into the panes' state, without computing anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from interpboard.reproduce import own_params
from tui.session.interventions import Held
from tui.session.state import Answer, Answers, Ask, Model, Request, State

if TYPE_CHECKING:
    from interpboard.results import Document
    from interpboard.store import Run
    from tui.slots.spec import Slot

Found = Sequence[tuple["Run", "Document"]]


def restored(
    state: State, slots: Mapping[str, Slot], found: Found, held: Held | None = None
) -> State:
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
        if run.slot in slots:
            state = slots[run.slot].restored(state, saved.results[0])
    if held is not None:
        state = replace(state, held=held)
    answers = Answers({name: Answer() for name in state.slots})
    for run, saved in found:
        result, slot = saved.results[0], slots.get(run.slot)
        if slot is None:
            continue
        of_others = slot.of_edits and result.params["interventions"] != state.held.text
        if not of_others:
            request = slot.request(state) if not slot.of_edits else None
            request = request or Request(result.analysis, ask, own_params(result))
            answers[run.slot] = Answer(
                result=result, prompt=saved.prompt, of=saved.model, request=request
            )
    return replace(state, slots=answers)


def ask_of(run: Run) -> Ask:
    """What had been asked. Fields that an older or newer program wrote otherwise are left out."""
    known = {own.name: type(own.default) for own in fields(Ask)}
    usable: Mapping[str, Any] = {
        name: value
        for name, value in run.ask.items()
        if name in known and (value is None or isinstance(value, (str, int, float, bool)))
    }
    return Ask(**{"text": run.prompt, **usable})


def together(runs: Iterable[Run], first: Run) -> list[Run]:
    """``first`` and, of every other slot, the newest run of the same question to the same model.

    A model of the same name and other weights is another one.
    """
    found = {first.slot: first}
    asked = (first.model, first.weights, first.prompt, first.ask)
    for run in runs:
        if (run.model, run.weights, run.prompt, run.ask) == asked:
            found.setdefault(run.slot, run)
    return list(found.values())


def renamed(runs: Iterable[Run], slots: Iterable[Slot]) -> list[Run]:
    """``runs`` with the names that slots have today."""
    today = {old: slot.name for slot in slots for old in slot.formerly}
    return [replace(run, slot=today.get(run.slot, run.slot)) for run in runs]
