"""Events of the engine into the next snapshot: ``state, event -> state``, with no other effect.

Imported after the first paint, because the messages bring numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from interpboard.config import DEFAULT_TEXT
from interpboard.engine import protocol
from interpboard.engine.lost import Lost, SharedDevices
from tui import words
from tui.commands.command import shown_keys
from tui.session.engine_port import MODEL_SLOT
from tui.session.interventions import InterventionStack
from tui.session.job import Job
from tui.session.selection import Selection
from tui.session.state import (
    Answer,
    Answers,
    Engine,
    Model,
    Phase,
    Question,
    State,
    same_tokens,
)
from tui.session.unfinished import dropped, set_down

if TYPE_CHECKING:
    from tui.slots.spec import Slot

# The user's to correct: the question goes back to the last one that was answered.
WRONG_QUESTION = frozenset({"bad_target", "bad_position", "bad_prompt", "bad_parameter"})


def reduce(
    state: State,
    slot: str,
    event: protocol.Event | Lost | SharedDevices,
    slots: Mapping[str, Slot],
) -> State:
    """The snapshot after ``event``; ``slots`` say what follows from theirs."""
    if isinstance(event, Lost):
        return _lost(state, event)
    if isinstance(event, SharedDevices):
        return replace(state, devices=event.devices, asked_devices=event.asked)
    if isinstance(event, protocol.Loading):
        engine = replace(state.engine, phase="loading", stage=event.stage, fraction=event.fraction)
        return replace(state, engine=engine)
    if isinstance(event, protocol.Ready):
        return _ready(state, event)
    if slot == MODEL_SLOT:
        return (
            _not_loaded(state) if isinstance(event, protocol.Failed | protocol.Stopped) else state
        )
    if isinstance(event, protocol.Begun):
        from interpboard.registry import ANALYSES

        unit = ANALYSES[event.result.analysis].cells
        job = replace(state.slots[slot].job or Job(), unit=unit, runs=True)
        state = _others_wait(state, slot)
        return state.with_slot(slot, begun=(event.prompt, event.result), job=job)
    if isinstance(event, protocol.Progress):
        return _gone_on(state, slot, event, slots[slot].draws_partial)
    if isinstance(event, protocol.Finished):
        return _finished(state, slots[slot], event)
    if isinstance(event, protocol.Failed | protocol.Stopped):
        return _ended(state, slots[slot], event)
    return state


def _gone_on(state: State, slot: str, event: protocol.Progress, draws_partial: bool) -> State:
    answer = state.slots[slot]
    before = answer.job or Job()
    measured = before.expected and not event.expected
    whole_s = event.left_s if before.whole_s is None or measured else before.whole_s
    job = replace(
        before,
        done=event.done,
        total=event.total,
        left_s=event.left_s,
        expected=event.expected,
        whole_s=whole_s,
        runs=True,
    )
    cells = answer.cells if event.cells is None else (*answer.cells, event.cells)
    partial = event.partial if draws_partial and event.partial is not None else answer.partial
    return _others_wait(state, slot).with_slot(slot, job=job, partial=partial, cells=cells)


def _others_wait(state: State, slot: str) -> State:
    """The engine does one job at a time: now it is that of ``slot``. Several have one each."""
    if len(state.devices) > 1:
        return state
    for name, answer in state.slots.items():
        if name != slot and answer.job is not None and answer.job.runs:
            state = state.with_slot(name, job=replace(answer.job, runs=False))
    return state


def _ready(state: State, event: protocol.Ready) -> State:
    model = Model(
        info=event.model,
        path=event.path,
        parameters=event.parameters,
        memory_bytes=event.memory_bytes,
        context=event.context,
        notes=event.notes,
    )
    before = state.model.info if state.model is not None else None
    # Saved results of this model may be on the screen, which has only now been loaded.
    restored = before is not None and before.name == event.model.name and state.good is None
    same = before is None or before == event.model or restored
    state = replace(
        state,
        model=model,
        question=first_example(state.question, event.model.mask_token),
        engine=replace(state.engine, phase="ready", stage="", opening="", not_opened=""),
    )
    if same:
        return state
    # Another model: other tokens, other heads. Nothing of the old results can stay.
    question = replace(state.question.without_tokens(), metric="logit", position=-1)
    if not same_tokens(before, event.model):
        state = replace(state, marked=("", ()), spans=("", ()))
    return replace(
        state,
        question=question,
        good=None,
        slots=Answers({name: Answer() for name in state.slots}),
        engine=Engine(phase="ready"),
        interventions=InterventionStack(),
        selection=Selection(),
    )


def _not_loaded(state: State) -> State:
    phase: Phase = "ready" if state.model is not None else "failed"
    refused = state.engine.opening or state.engine.not_opened
    engine = replace(state.engine, phase=phase, stage="", opening="", not_opened=refused)
    return replace(state, engine=engine)


def _finished(state: State, slot: Slot, event: protocol.Finished) -> State:
    request = state.slots[slot.name].pending
    state = state.with_slot(
        slot.name,
        result=event.result,
        prompt=event.prompt,
        of=None,
        request=request,
        pending=None,
        partial=None,
        job=None,
        failed=None,
        failure="",
        begun=None,
    )
    state = dropped(state, slot.name, request)
    model = state.model
    if model is not None:
        model = replace(model, memory_bytes=event.memory_bytes)
    answered = slot.checks_question or state.lacks_mask  # without a mask nothing checks it
    good = request.question if request is not None and answered else state.good
    return replace(state, model=model, good=good)


def _ended(state: State, slot: Slot, event: protocol.Failed | protocol.Stopped) -> State:
    asked = state.slots[slot.name].pending
    failed = event if isinstance(event, protocol.Failed) else None
    failure = f"{failed.message} {failed.remedy}".strip() if failed is not None else ""
    stopped = event if isinstance(event, protocol.Stopped) else None
    state = set_down(state, slot.name, stopped.last if stopped is not None else None)
    if stopped is not None and asked is not None and state.slots[slot.name].request != asked:
        kept = any(each.answers(slot.name, asked) for each in state.unfinished)
        failure = f"stopped: what is computed is kept, {shown_keys('run')} goes on" if kept else ""
    state = state.with_slot(
        slot.name,
        job=None,
        partial=None,
        pending=None,
        begun=None,
        cells=(),
        failure=failure,
        failed=asked,
    )
    if failed is None or asked is None:
        return state
    wrong = slot.checks_question and failed.kind in WRONG_QUESTION
    if wrong and asked.question == state.question:
        good = state.good
        if good is None and failed.kind == "bad_target":  # what no tokenizer before this one knew
            good = state.question.without_tokens()
        return state if good is None else replace(state, question=good)
    return slot.refused(state, asked, failed.kind) if slot.refused is not None else state


def _lost(state: State, event: Lost) -> State:
    for name, slot in state.slots.items():
        if name in event.going_on:  # by engines that live
            continue
        # What was under way may be what ended it: it is asked again on request only.
        state = set_down(state, name)
        state = state.with_slot(
            name, job=None, partial=None, pending=None, failed=slot.pending, begun=None, cells=()
        )
    phase: Phase = "restarting" if event.restarting else "gave up"
    lost = tuple(name for name in state.slots if name in event.slots)
    opening = words.short_model(state.engine.opening) if "model" in event.slots else ""
    notice = f"engine died{f' loading {opening}' if opening else ''}: {event.reason}"
    engine = Engine(
        phase=phase,
        notice=notice,
        log=event.last_lines,
        lost=lost,
        not_opened=state.engine.opening or state.engine.not_opened,
    )
    return replace(state, engine=engine)


def first_example(question: Question, mask: str) -> Question:
    """The example that the app begins with; for a model that fills in a ``mask``, with one at its end.

    Any other prompt is the user's own and stays.
    """
    if question.kind == "text" and question.text == DEFAULT_TEXT and mask:
        return replace(question, text=f"{DEFAULT_TEXT} {mask}.")
    return question
