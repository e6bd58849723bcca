"""Events of the engine into the next snapshot: ``state, event -> state``, with no other effect.

Imported after the first paint, because the messages bring numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from interpboard.engine import protocol
from interpboard.engine.client import Lost
from tui import words
from tui.session.interventions import InterventionStack
from tui.session.state import Answer, Answers, Engine, Job, Model, Phase, Selection, State

if TYPE_CHECKING:
    from tui.slots.spec import Slot

# The user's to correct: the question goes back to the last one that was answered.
WRONG_QUESTION = frozenset({"bad_target", "bad_position", "bad_prompt", "bad_parameter"})


def reduce(
    state: State, slot: str, event: protocol.Event | Lost, slots: Mapping[str, Slot]
) -> State:
    """The snapshot after ``event``; ``slots`` say what follows from theirs."""
    if isinstance(event, Lost):
        return _lost(state, event)
    if isinstance(event, protocol.Loading):
        engine = replace(state.engine, phase="loading", stage=event.stage, fraction=event.fraction)
        return replace(state, engine=engine)
    if isinstance(event, protocol.Ready):
        return _ready(state, event)
    if slot == "model":
        return (
            _not_loaded(state) if isinstance(event, protocol.Failed | protocol.Stopped) else state
        )
    if isinstance(event, protocol.Progress):
        partial = event.partial if event.partial is not None else state.slots[slot].partial
        title = job.title if (job := state.slots[slot].job) is not None else ""
        return state.with_slot(slot, job=Job(event.done, event.total, title), partial=partial)
    if isinstance(event, protocol.Finished):
        return _finished(state, slots[slot], event)
    if isinstance(event, protocol.Failed | protocol.Stopped):
        return _ended(state, slots[slot], event)
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
    same = state.model is not None and state.model.info == event.model
    state = replace(
        state, model=model, engine=replace(state.engine, phase="ready", stage="", opening="")
    )
    if same or state.good is None:
        return state
    # Another model: other tokens, other heads. Nothing of the old results can stay.
    question = replace(state.question, metric="logit", target=None, foil=None, position=-1)
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
    return replace(state, engine=replace(state.engine, phase=phase, stage="", opening=""))


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
    )
    model = state.model
    if model is not None:
        model = replace(model, memory_bytes=event.memory_bytes)
    good = request.question if request is not None and slot.checks_question else state.good
    return replace(state, model=model, good=good)


def _ended(state: State, slot: Slot, event: protocol.Failed | protocol.Stopped) -> State:
    asked = state.slots[slot.name].pending
    failed = event if isinstance(event, protocol.Failed) else None
    failure = f"{failed.message} {failed.remedy}".strip() if failed is not None else ""
    state = state.with_slot(
        slot.name, job=None, partial=None, pending=None, failure=failure, failed=asked
    )
    if failed is None or asked is None:
        return state
    wrong = slot.checks_question and failed.kind in WRONG_QUESTION
    if wrong and state.good and asked.question == state.question:
        return replace(state, question=state.good)
    return slot.refused(state, asked, failed.kind) if slot.refused is not None else state


def _lost(state: State, event: Lost) -> State:
    for name, slot in state.slots.items():
        # What was under way may be what ended it: it is asked again on request only.
        state = state.with_slot(name, job=None, partial=None, pending=None, failed=slot.pending)
    lines = [line.rsplit("\r", 1)[-1].strip() for line in event.log_tail]
    said = [line for line in lines if line and "%|" not in line]  # no progress bars
    phase: Phase = "restarting" if event.restarting else "gave up"
    lost = tuple(name for name in state.slots if name in event.slots)
    opening = words.short_model(state.engine.opening) if "model" in event.slots else ""
    notice = f"engine died{f' loading {opening}' if opening else ''}: {event.reason}"
    engine = Engine(phase=phase, notice=notice, log=tuple(said), lost=lost)
    return replace(state, engine=engine)
