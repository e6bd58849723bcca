"""Saved runs back on the screen: into the panes' state, without computing anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, get_args

from interpboard.reproduce import own_params
from tui.session.chat_draft import turns_of
from tui.session.interventions import InterventionStack
from tui.session.state import Answer, Answers, Model, PromptKind, Question, Request, State

if TYPE_CHECKING:
    from interpboard.results import Document
    from interpboard.store import SavedRun
    from tui.slots.spec import Slot

SavedDocuments = Sequence[tuple["SavedRun", "Document"]]


def restored(
    state: State,
    slots: Mapping[str, Slot],
    found: SavedDocuments,
    interventions: InterventionStack | None = None,
) -> State:
    """``state`` with the results of ``found`` in their slots and the first one's question asked.

    ``interventions`` are put on instead of those of the results; only results with just these are shown.
    Other slots are emptied: they answer another question.
    """
    first, document = found[0]
    question = question_of(first)
    model = state.model
    if model is None or model.info != document.model:
        paths = {saved.results[0].made_by.path for _, saved in found}
        path = "replay" if "replay" in paths else ""  # others take it also where replays work
        model = Model(info=document.model, path=path, parameters=0, memory_bytes=0)
    state = replace(
        state,
        question=question,
        good=None,
        model=model,
        params={},
        analyses={},
        interventions=InterventionStack(),
    )
    for run, saved in reversed(found):  # the first one decides
        if run.slot in slots:
            state = slots[run.slot].restored(state, saved.results[0])
    if interventions is not None:
        state = replace(state, interventions=interventions)
    answers = Answers({name: Answer() for name in state.slots})
    for run, saved in found:
        result, slot = saved.results[0], slots.get(run.slot)
        if slot is None:
            continue
        of_others = slot.of_edits and result.params["interventions"] != state.interventions.text
        if not of_others:
            request = slot.request(state) if not slot.of_edits else None
            request = request or Request(result.analysis, question, own_params(result))
            answers[run.slot] = Answer(
                result=result, prompt=saved.prompt, of=saved.model, request=request
            )
    return replace(state, slots=answers)


def of_other_texts(
    runs: Iterable[SavedRun], first: SavedRun, state: State, slots: Iterable[Slot]
) -> list[tuple[SavedRun, Request]]:
    """What the restored ``state`` asks of another text than its own, where it was saved: the newest of each.

    The corrupted prompt, say: it has a run of its own.
    """
    wanted = {slot.name: slot.request(state) for slot in slots}
    found: dict[str, tuple[SavedRun, Request]] = {}
    for run in runs:
        request = wanted.get(run.slot)
        if request is None or request.question.text == state.question.text:
            continue
        same_model = (run.model, run.weights) == (first.model, first.weights)
        if same_model and run.prompt == request.question.text and run.analysis == request.analysis:
            found.setdefault(run.slot, (run, request))
    return list(found.values())


def question_of(run: SavedRun) -> Question:
    """What had been asked. Fields that an older or newer program wrote otherwise are left out."""
    known = {own.name: type(own.default) for own in fields(Question)}
    usable: Mapping[str, Any] = {
        name: value
        for name, value in run.ask.items()
        if name in known and (value is None or isinstance(value, (str, int, float, bool)))
    }
    question = Question(**{"text": run.prompt, **usable})
    if question.kind == "chat" and not turns_of(question.text):
        return replace(question, text=run.prompt, kind="bare")  # what the template made of it
    return question if question.kind in get_args(PromptKind) else replace(question, kind="text")


def together(runs: Iterable[SavedRun], first: SavedRun) -> list[SavedRun]:
    """``first`` and, of every other slot, the newest run of the same question to the same model.

    A model of the same name and other weights is another one.
    """
    found = {first.slot: first}
    asked = (first.model, first.weights, first.prompt, first.ask)
    for run in runs:
        if (run.model, run.weights, run.prompt, run.ask) == asked:
            found.setdefault(run.slot, run)
    return list(found.values())


def renamed(runs: Iterable[SavedRun], slots: Iterable[Slot]) -> list[SavedRun]:
    """``runs`` with the names that slots have today."""
    today = {old: slot.name for slot in slots for old in slot.formerly}
    return [replace(run, slot=today.get(run.slot, run.slot)) for run in runs]
