"""The owner of the state: sends requests to the engine, takes its events, and says what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from interpboard.registry.loading import NOTHING_ASKED, LoadOptions
from tui.session import messages
from tui.session.changes import Changes
from tui.session.engine_port import EngineFactory, EngineLike
from tui.session.interventions import InterventionStack
from tui.session.state import Engine, Job, Question, State
from tui.session.vocabulary import ANSWERED, EngineTokens

if TYPE_CHECKING:
    from interpboard.results import ModelInfo
    from interpboard.store import Note
    from tui.controllers.notify import Tell
    from tui.slots.spec import Slot

_MODEL_SLOT = "model"


class Session:
    """Holds the current ``State``. ``changed(names)`` is called after it has changed.

    ``names`` are slots, or ``engine`` and ``question``. ``tell(message, severity)`` is for people.
    ``slots`` say what is asked. ``finished(state, slot)`` is called with each new result.
    """

    def __init__(
        self,
        state: State,
        slots: Sequence[Slot],
        changed: Callable[[set[str]], None],
        tell: Tell,
        factory: EngineFactory,
        finished: Callable[[State, str], None] = lambda _state, _slot: None,
    ) -> None:
        self.state = state
        self.slots = {
            slot.name: slot for slot in slots
        }  # in the order they are asked: quick ones first
        self._always = tuple(slot.name for slot in slots if slot.always)
        self._jobs = tuple(slot.name for slot in slots if slot.kind == "job")
        self._finished = finished
        self._engine_model: ModelInfo | None = None  # what is loaded, whatever the screen shows
        self.engine: EngineLike | None = None
        self.tokens = EngineTokens(lambda: self.engine)
        self._changes, self._tell, self._factory = Changes(changed), tell, factory
        self._told: set[str] = set()
        self._run_when_ready = True
        self.in_sight: tuple[str, ...] = ()
        self._closed = False
        self.up = asyncio.Event()

    # -- life -------------------------------------------------------------------------------------

    async def boot(
        self,
        model: str,
        device: str,
        dtype: str,
        run: bool = True,
        special_tokens: bool = True,
        load: LoadOptions = NOTHING_ASKED,
    ) -> None:
        """Start the engine, load the model, and ``run`` everything once it is there.

        ``load``: how this model is opened; another one that is picked later is opened as it is.
        """
        from tui.session.reduce import reduce

        self._reduce = reduce
        self._run_when_ready = run
        self._options = {"device": device, "dtype": dtype, "special_tokens": special_tokens}
        self._asked_model, self._first = model, (model, load)
        self.engine = self._factory(self.take)
        await self.engine.start()
        self.engine.load(model, **self._options_of(model))
        self.up.set()

    async def close(self) -> None:
        """End the engine."""
        self._closed = True
        self._changes.close()
        if self.engine is not None:
            await self.engine.stop()

    async def settled(self) -> None:
        """Wait until the engine is idle and everything it said has been told."""
        await self.up.wait()
        assert self.engine is not None
        while True:
            await self.engine.idle.wait()
            if self._changes.waiting:
                await self._changes.told()
            elif self.engine.idle.is_set() and self.state.engine.phase in (
                "ready",
                "failed",
                "gave up",
            ):
                return
            else:
                await asyncio.sleep(0.002)

    # -- what the user does -----------------------------------------------------------------------

    def set_question(self, question: Question) -> None:
        """Ask ``question`` in every pane in sight; what is under way for an older one is replaced."""
        before = self.state
        self.state = replace(before, question=question)
        if question.text != before.question.text:  # positions of another text
            self.state = replace(self.state, interventions=before.interventions.for_another_text())
            self._tell_let_go(before, "they name positions of the other prompt")
        self._changes.add({"question", *self.slots}, soon=True)
        self.run(*self._always, *self.in_sight)

    def see(self, slots: set[str]) -> None:
        """These slots are on the screen from now on: what they lack is asked."""
        self.in_sight = tuple(name for name in self.slots if name in slots)
        if self.state.engine.phase == "ready":
            self.ensure(*self.in_sight)

    def ensure(self, *names: str) -> None:
        """Ask what these slots neither show nor are about to."""
        missing = []
        for name in names:
            slot, wanted = self.state.slots[name], self.slots[name].request(self.state)
            there = slot.request if slot.job is None else slot.pending
            tried = slot.failed if slot.job is None else None
            if wanted is not None and wanted not in (there, tried):
                missing.append(name)
        if missing and self.ready:
            self._send(*missing)

    def again(self, *names: str) -> None:
        """Ask these slots anew, also what they show: a file that they are read from is another."""
        if self.ready:
            self._send(*names)

    @property
    def ready(self) -> bool:
        """Does the engine wait, with the model that is on the screen?"""
        model, loaded = self.state.model, self._engine_model
        return self.state.engine.phase == "ready" and model is not None and loaded == model.info

    def run(self, *names: str) -> None:
        """Ask the questions of some slots, once there is a model."""
        self._told.clear()
        phase = self.state.engine.phase
        if self.engine is None or phase in ("starting", "loading", "restarting"):
            self._run_when_ready = True
            return
        if phase == "failed":  # the engine lives, and has no model
            self.load(self._asked_model)
            return
        if phase == "gave up" or self.state.model is None:
            self._run_when_ready = True
            self.restart()
            return
        if self._engine_model is not None and self._engine_model != self.state.model.info:
            self.load(self.state.model.info.name)  # a saved run of another model is on the screen
            return
        self.state = replace(self.state, engine=Engine(phase="ready"))
        self._send(*(name for name in self.slots if name in names))

    def _send(self, *names: str) -> None:
        from interpboard.engine.protocol import MetricRequest

        assert self.engine is not None
        for name in names:
            request = self.slots[name].request(self.state)
            if request is None:
                continue
            question = request.question
            name_of = request.metric or question.metric
            metric = MetricRequest(
                name_of, question.target, question.foil_of(name_of), question.position
            )
            self.state = self.state.with_slot(
                name, job=Job(title=self.slots[name].title), pending=request, failure=""
            )
            self.engine.run(name, request.analysis, question.text, metric, request.params)
        self._changes.add({*names, "engine"})

    def change(self, *names: str, **changes: Any) -> None:
        """Change the state, and ask anew what ``names`` show, as far as it is in sight."""
        self.state = replace(self.state, **changes)
        self._changes.add({*names, "question"}, soon=True)
        self.ensure(*(name for name in names if name in self.in_sight or name in self._always))

    def intervene(self, stack: InterventionStack) -> None:
        """These interventions are on from now on."""
        if stack.items == self.state.interventions.items:
            return
        edits = [slot.name for slot in self.slots.values() if slot.of_edits]
        for name in edits:
            if not stack.text and self.engine is not None and self.state.slots[name].job:
                self.engine.cancel(name)
        self.change(*edits, interventions=stack)
        self._changes.add({*self.slots}, soon=True)

    def cancel(self) -> bool:
        """Cancel every analysis; says whether there was one."""
        if self.engine is None:
            return False
        if self.state.engine.phase == "loading":
            self._run_when_ready = False
            self.engine.cancel(_MODEL_SLOT)  # back to the model that is loaded, if there is one
            return True
        busy = bool(self.state.busy)
        if busy:
            self.engine.cancel()
        return busy

    def load(self, model: str) -> None:
        """Open another model, then run everything on it."""
        if self.engine is not None:
            self._run_when_ready = True
            self._asked_model = model
            for name in self._jobs:  # the load would wait for them
                self.engine.cancel(name)
            self._set_engine(phase="loading", stage="waiting", fraction=0.0, opening=model)
            self.engine.load(model, **self._options_of(model))

    def _options_of(self, model: str) -> dict[str, Any]:
        first, load = self._first
        return {**self._options, "options": load} if model == first else self._options

    def restart(self) -> None:
        """Start the engine anew."""
        if self.engine is not None:
            for name in self.state.slots:
                self.state = self.state.with_slot(name, job=None, partial=None, pending=None)
            self._set_engine(phase="restarting")
            self._restarting = asyncio.create_task(self.engine.restart())

    def set_param(self, slot: str, name: str, value: Any, *also: str) -> None:
        """Set one parameter of a slot's analysis and ask it, and ``also`` other slots, anew."""
        params = {**self.state.params, slot: {**self.state.params.get(slot, {}), name: value}}
        self.change(slot, *also, params=params)

    def set_analysis(self, slot: str, analysis: str) -> None:
        """Another analysis for a slot."""
        self.change(slot, analyses={**self.state.analyses, slot: analysis})

    def restore(self, state: State) -> None:
        """Show saved results in place of what there is; what runs is cancelled."""
        self.cancel()
        self.state = state
        self._changes.add({*self.slots, "engine", "question"}, soon=True)

    def show_notes(self, notes: tuple[Note, ...]) -> None:
        """These are the notes there are; nothing is asked of the engine for them."""
        self.state = replace(self.state, notes=notes)
        self._changes.add({*self.slots, "question"}, soon=True)

    def select(self, **places: Any) -> None:
        """Remember where a cursor is."""
        self.state = replace(self.state, selection=replace(self.state.selection, **places))

    # -- what the engine says ---------------------------------------------------------------------

    def take(self, slot: str, event: Any) -> None:
        """The engine's listener."""
        if self._closed:
            return
        self.tokens.take(slot, event, type(event).__name__)
        if slot in ANSWERED:
            return
        before = self.state
        self.state = self._reduce(before, slot, event, self.slots)
        kind = type(event).__name__
        if kind == "Ready":
            self._engine_model = event.model
        elif kind == "Finished" and slot in self.slots:
            self._finished(self.state, slot)
        elif kind == "Failed" and slot in self.in_sight:
            self.ensure(slot)  # where another question took the place of the one refused
        elif slot == _MODEL_SLOT and kind in ("Failed", "Stopped") and self._engine_model is None:
            self._set_engine(phase="failed")  # saved results may be on the screen, but no model is
        names = {slot if slot in self.slots else "engine"}
        if kind == "Lost" or (before.slots is not self.state.slots and slot == _MODEL_SLOT):
            names = {*self.slots, "engine", "question"}
        if before.question != self.state.question:
            names |= {"question", *self.slots}
        self._changes.add(names | {"engine"}, soon=kind not in ("Progress", "Loading"))
        self._say(slot, event, kind)
        if kind == "Ready":
            self._tell_let_go(before, "they are of the other model")
        elif kind == "Failed" and event.kind == "bad_prompt":
            self._tell_let_go(before, "their values are of a prompt of another length")
        if kind == "Ready" and self._run_when_ready:
            self._run_when_ready = False
            self.run(*self._always, *self.in_sight, *self.state.engine.lost)

    def _tell_let_go(self, before: State, why: str) -> None:
        message = messages.of_let_go(before.interventions, self.state.interventions, why)
        if message:
            self._tell(message, "warning")

    def _say(self, slot: str, event: Any, kind: str) -> None:
        for message, severity in messages.of_event(slot, event, kind, self.state, self.slots):
            if kind != "Failed" or message not in self._told:  # four fail over one target: once
                self._tell(message, severity)
            self._told |= {message} if kind == "Failed" else set()
        if kind == "Lost":
            self._run_when_ready = False
        elif kind == "Ready":
            self.say_other_weights()

    def say_other_weights(self) -> None:
        """Tell that saved results are of other weights than the model of the same name that is loaded."""
        message = messages.of_other_weights(self.state, self._engine_model)
        if message:
            self._changes.add({*self.slots}, soon=True)  # their panes say it too
            self._tell(message, "warning")

    def _set_engine(self, **changes: Any) -> None:
        self.state = replace(self.state, engine=replace(self.state.engine, **changes))
        self._changes.add({"engine"}, soon=True)
