"""The owner of the state: sends requests to the engine, takes its events, and says what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from interpboard.registry.loading import NOTHING_ASKED, LoadOptions
from tui.session import messages
from tui.session.changes import Changes, asked_otherwise, by_event, settled
from tui.session.engine_link import EngineLink
from tui.session.engine_port import MODEL_SLOT, EngineFactory, EngineLike, ask
from tui.session.interventions import InterventionStack
from tui.session.plans import PLAN, EnginePlans
from tui.session.replaced import ReplacedJobs
from tui.session.state import Engine, Question, State
from tui.session.vocabulary import ANSWERED, EngineTokens

if TYPE_CHECKING:
    from interpboard.store import Note
    from tui.controllers.notify import Tell
    from tui.session.unfinished import Unfinished
    from tui.slots.spec import Slot


class Session:
    """Holds the current ``State``. ``changed(names)`` is called after it has changed.

    ``names`` are slots, or ``engine`` and ``question``. ``tell(message, severity)`` is for people.
    ``slots`` say what is asked. ``finished(state, slot)`` is called with each new result, ``unfinished`` with
    what was computed of a job that ended before its time.
    """

    def __init__(
        self,
        state: State,
        slots: Sequence[Slot],
        changed: Callable[[set[str]], None],
        tell: Tell,
        factory: EngineFactory,
        finished: Callable[[State, str], None] = lambda _state, _slot: None,
        unfinished: Callable[[Unfinished], None] = lambda _unfinished: None,
    ) -> None:
        self.state = state
        self.slots = {own.name: own for own in slots}  # as they are asked: quick ones first
        self._always = tuple(slot.name for slot in slots if slot.always)
        self._jobs = tuple(slot.name for slot in slots if slot.kind == "job")
        self._finished, self._unfinished = finished, unfinished
        self._cut: tuple[str, ...] = ()  # what was under way when another model was asked for
        self._link, self._replaced = EngineLink(factory), ReplacedJobs()
        self.tokens = EngineTokens(lambda: self.engine)
        self.plans = EnginePlans(lambda: self.engine)
        self._changes, self._tell, self._says = Changes(changed), tell, messages.Says(tell)
        self._run_when_ready, self._closed = True, False
        self.in_sight: tuple[str, ...] = ()
        self.up = asyncio.Event()

    @property
    def engine(self) -> EngineLike | None:
        """The engine; None before it is started."""
        return self._link.engine

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
        options = {"device": device, "dtype": dtype, "special_tokens": special_tokens}
        await self._link.start(self.take, model, load, **options)
        self.up.set()

    async def close(self) -> None:
        """End the engine; what it has computed of a job under way is kept."""
        await self._link.let_go(lambda: self.state.begun)
        self._closed = True
        self._set_down(*self.state.slots)
        self._changes.close()
        await self._link.stop()

    async def settled(self) -> None:
        """Wait until the engine is idle and everything it said has been told."""
        await self.up.wait()
        assert self.engine is not None
        await settled(self.engine.idle, self._changes, lambda: self.state.engine.phase)

    # -- what the user does -----------------------------------------------------------------------

    def set_question(self, question: Question) -> None:
        """Ask ``question`` in every pane in sight; what is under way for an older one is replaced."""
        before = self.state
        self.state = replace(before, question=question)
        if question.text != before.question.text:  # positions of another text
            self.state = replace(self.state, interventions=before.interventions.for_another_text())
            self._says.taken_off(before, self.state, "they name positions of the other prompt")
        self._changes.add({"question", *self.slots}, soon=True)
        wanted = {*self._always, *self.in_sight, *self._jobs}
        for name in before.busy:  # nobody waits for it any more
            if name not in wanted or self.slots[name].request(self.state) is None:
                self._link.cancel(name)
        self.run(*self._always, *self.in_sight)
        self.show_now()  # with the prompt

    def go_on(self) -> None:
        """Ask what is in sight and not whole: stopped, failed, of an older question. Else all of it anew."""
        names = dict.fromkeys((*self._always, *self.in_sight))
        lacking = [name for name in names if self.slots[name].lacking(self.state)]
        self.run(*((*lacking, *self.state.engine.lost) or names))

    def _set_down(self, *names: str) -> None:
        """What is under way in these slots ends here: what it has computed is kept."""
        from tui.session.unfinished import set_down

        before = self.state
        for name in names:
            if self.state.slots[name].job is not None:
                self._replaced.set_down(self.state, name)
                self.state = set_down(self.state, name)
        self._keep(before)

    def _keep(self, before: State) -> None:
        for each in self.state.unfinished:
            if each not in before.unfinished:
                self._unfinished(each)

    def see(self, slots: set[str]) -> None:
        """These slots are on the screen from now on: what they lack is asked."""
        self.in_sight = tuple(name for name in self.slots if name in slots)
        seen = {*self.in_sight, *self._always, *self._jobs}
        self._link.aside([name for name in self.state.busy if name not in seen])
        if self.state.engine.phase == "ready":
            self.ensure(*self.in_sight)

    def ensure(self, *names: str) -> None:
        """Ask what these slots neither show nor are about to."""
        missing = [name for name in names if self.slots[name].untried(self.state)]
        if missing and self.ready:
            self._send(*missing)

    def again(self, *names: str) -> None:
        """Ask these slots anew, also what they show: a file that they are read from is another."""
        if self.ready:
            self._send(*names)

    @property
    def ready(self) -> bool:
        """Does the engine wait, with the model that is on the screen?"""
        return self._link.has_model_of(self.state)

    def run(self, *names: str) -> None:
        """Ask the questions of some slots, once there is a model."""
        self._says.anew()
        phase = self.state.engine.phase
        if self.engine is None or phase in ("starting", "loading", "restarting"):
            self._run_when_ready = True
            return
        if phase == "failed":  # the engine lives, and has no model
            self.load(self._link.asked)
            return
        if phase == "gave up" or self.state.model is None:
            self._run_when_ready = True
            self.restart()
            return
        if self._link.loaded not in (None, self.state.model.info):
            self.load(self.state.model.info.name)  # a saved run of another model is on the screen
            return
        self.state = replace(self.state, engine=Engine(phase="ready"))
        self._send(*(name for name in self.slots if name in names))

    def _send(self, *names: str) -> None:
        from tui.session.unfinished import known_cells

        assert self.engine is not None
        for name in names:
            request = self.slots[name].request(self.state)
            if request is None:
                continue
            self._set_down(name)
            cells = known_cells(self.state, name, request)
            self.state = self.state.asking(name, request, self.slots[name].title, cells)
            self._replaced.under_way[name] = ask(self.engine, name, request, cells)
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
        for name in edits if not stack.text else ():
            self._link.cancel(name)
        edits += asked_otherwise(self.slots, self.in_sight, self.state, stack)
        self.change(*edits, interventions=stack)
        self._changes.add({*self.slots}, soon=True)

    def cancel(self) -> bool:
        """Cancel every analysis; says whether there was one."""
        if self.engine is None:
            return False
        if self.state.engine.phase == "loading":
            self._run_when_ready = False
            self.engine.cancel(MODEL_SLOT)  # back to the model that is loaded, if there is one
            return True
        if busy := bool(self.state.busy):
            self.engine.cancel()
        return busy

    def load(self, model: str, asked: tuple[str, LoadOptions] | None = None) -> None:
        """Open another model, then run everything on it; ``asked``: its number format and options."""
        if self.engine is not None:
            self._run_when_ready = True
            self._cut = self.state.busy
            for name in self._cut:  # the load would wait for them
                self._link.cancel(name)
            self._set_engine(phase="loading", stage="waiting", fraction=0.0, opening=model)
            self._link.load(model, asked)

    def restart(self) -> None:
        """Start the engine anew."""
        if self.engine is not None:
            self._set_down(*self.state.slots)
            self.state = self.state.without_jobs()
            self._set_engine(phase="restarting")
            self._restarting = asyncio.create_task(self.engine.restart())

    def set_param(self, slot: str, name: str, value: Any, *also: str) -> None:
        """Set one parameter of a slot's analysis and ask it, and ``also`` other slots, anew."""
        params = {**self.state.params.get(slot, {}), name: value}
        self.change(slot, *also, params={**self.state.params, slot: params})

    def set_analysis(self, slot: str, analysis: str) -> None:
        """Another analysis for a slot."""
        self.change(slot, analyses={**self.state.analyses, slot: analysis})

    def restore(self, state: State) -> None:
        """Show saved results in place of what there is; what runs is cancelled."""
        self._set_down(*self.state.slots)
        self.cancel()
        self.state = replace(state, unfinished=self.state.unfinished)
        self._changes.add({*self.slots, "engine", "question"}, soon=True)

    def show_now(self) -> None:
        """What has changed is shown in the same paint as what was written just before."""
        self._changes.now()

    def show_notes(self, notes: tuple[Note, ...]) -> None:
        """These are the notes there are; nothing is asked of the engine for them."""
        self.state = replace(self.state, notes=notes)
        self._changes.add({*self.slots, "question"}, soon=True)

    def select(self, **places: Any) -> None:
        """Remember where a cursor is."""
        self.state = replace(self.state, selection=self.state.selection.moved(**places))

    # -- what the engine says ---------------------------------------------------------------------

    def take(self, slot: str, event: Any) -> None:
        """The engine's listener."""
        if self._closed:
            return
        for answers in (self.tokens, self.plans):
            answers.take(slot, event, type(event).__name__)
        if slot in ANSWERED or slot == PLAN:
            return
        before, kind = self.state, type(event).__name__
        late = self._replaced.heard(before, event)
        self.state = late or self._reduce(before, slot, event, self.slots)
        self._keep(before)
        if late is not None:
            return
        if kind == "Ready":
            self._link.loaded = event.model
        elif kind == "Finished" and slot in self.slots:
            self._finished(self.state, slot)
        elif kind == "Failed" and slot in self.in_sight:
            self.ensure(slot)  # where another question took the place of the one refused
        elif slot == MODEL_SLOT and kind in ("Failed", "Stopped") and self._link.loaded is None:
            self._set_engine(phase="failed")  # saved results may be on the screen, but no model is
        elif slot == MODEL_SLOT and kind in ("Failed", "Stopped") and self.ready:
            cut, self._cut = self._cut, ()
            self._send(*cut)  # the model that is still there goes on with what it did
        self._changes.add(*by_event(slot, kind, before, self.state, self.slots))
        self._says.event(slot, event, before, self.state, self.slots)
        if kind == "Lost":
            self._run_when_ready = False
        elif kind == "Ready":
            self.say_other_weights()
        if kind == "Ready" and self._run_when_ready:
            self._run_when_ready = False
            self.go_on()

    def say_other_weights(self) -> None:
        """Tell that saved results are of other weights than the model of the same name that is loaded."""
        if message := messages.of_other_weights(self.state, self._link.loaded):
            self._changes.add({*self.slots}, soon=True)  # their panes say it too
            self._tell(message, "warning")

    def _set_engine(self, **changes: Any) -> None:
        self.state = replace(self.state, engine=replace(self.state.engine, **changes))
        self._changes.add({"engine"}, soon=True)
