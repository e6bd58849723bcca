"""Events of the engine into the next snapshot: ``state, event -> state``, with no other effect.

Imported after the first paint, because the messages bring numpy.
"""

from __future__ import annotations

from dataclasses import replace

from interpboard.engine import protocol
from interpboard.engine.client import Lost
from tui import words
from tui.session.interventions import Held
from tui.session.state import Answer, Answers, Engine, Job, Model, Phase, Selection, State

# The user's to correct: the ask goes back to the last one that was answered.
LEADING = "predictions"  # runs with every ask, first: what is wrong with the ask is wrong here
WRONG_ASK = frozenset({"bad_target", "bad_position", "bad_prompt", "bad_parameter"})


def reduce(state: State, slot: str, event: protocol.Event | Lost) -> State:
    """The snapshot after ``event``."""
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
        return _finished(state, slot, event)
    if isinstance(event, protocol.Failed | protocol.Stopped):
        return _ended(state, slot, event)
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
    ask = replace(state.ask, metric="logit", target=None, foil=None, position=-1)
    return replace(
        state,
        ask=ask,
        good=None,
        slots=Answers({name: Answer() for name in state.slots}),
        engine=Engine(phase="ready"),
        held=Held(),
        selection=Selection(),
    )


def _not_loaded(state: State) -> State:
    phase: Phase = "ready" if state.model is not None else "failed"
    return replace(state, engine=replace(state.engine, phase=phase, stage="", opening=""))


def _finished(state: State, slot: str, event: protocol.Finished) -> State:
    request = state.slots[slot].pending
    state = state.with_slot(
        slot,
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
    good = request.ask if request is not None and slot == LEADING else state.good
    return replace(state, model=model, good=good)


def _ended(state: State, slot: str, event: protocol.Failed | protocol.Stopped) -> State:
    asked = state.slots[slot].pending
    failed = event if isinstance(event, protocol.Failed) else None
    failure = f"{failed.message} {failed.remedy}".strip() if failed is not None else ""
    state = state.with_slot(
        slot, job=None, partial=None, pending=None, failure=failure, failed=asked
    )
    if failed is None or asked is None:
        return state
    if slot == LEADING and failed.kind in WRONG_ASK and state.good and asked.ask == state.ask:
        return replace(state, ask=state.good)
    if slot == "what_if" and asked.params.get("interventions") == state.held.text:
        return replace(state, held=state.held.refused())
    if slot == "lens" and asked.analysis == "tuned_lens" and failed.kind != "unsupported":
        return _lens_before(state)
    return state


def _lens_before(state: State) -> State:
    """A folder that holds no fitting translators is let go: the lens is read as it was before."""
    shown = state.slots["lens"].request
    analysis = shown.analysis if shown is not None else "logit_lens"
    translators = str(shown.params.get("translators", "")) if shown is not None else ""
    analyses = {**state.analyses, "lens": analysis}
    state = replace(state, analyses=analyses, translators=translators)
    return state.with_slot("lens", failure="")


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
