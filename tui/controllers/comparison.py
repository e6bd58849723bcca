"""A, B and B − A: the prompt before, a pinned one, a saved run or another model, against the panes.

B is always the session of the app. A is a session of its own: on the same engine for another prompt, on a
second one for another model, on none where only what was saved is known.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tui.commands.command import command, shown_keys
from tui.controllers.background import BackgroundWork
from tui.controllers.saver import COMPARED
from tui.session import compared as sides
from tui.session.compared import Compared, DifferenceCache, kept
from tui.session.session import Session
from tui.session.shared_engine import NoEngine
from tui.session.state import Answer, Answers, Engine, Question, State
from tui.slots.shown_selection import shown_selection

if TYPE_CHECKING:
    from tui.commands.command import Command
    from tui.controllers.notify import Severity, Tell
    from tui.session.engine_port import EngineFactory
    from tui.session.shared_engine import Switchboard
    from tui.slots.spec import Slot

SIDE_PREFIX = "A"
PINNED, BEFORE = "pinned", "before"  # what A can be of the prompts since the app began
_TOLD_SO = "Another model is open now: what is kept of A stays, and nothing is computed for it."


class Comparison:
    """``session`` is B's. ``changed`` is called when what is shown of A has changed; ``remember`` keeps under
    a name what is to be there again after resuming. ``second`` makes the engine of another model.
    """

    def __init__(
        self,
        session: Session,
        slots: Sequence[Slot],
        switchboard: Switchboard,
        second: EngineFactory,
        changed: Callable[[set[str]], None],
        remember: Callable[[str, Any], None],
        tell: Tell,
    ) -> None:
        self._session, self._slots, self._board = session, tuple(slots), switchboard
        self._second = second
        self._changed, self._remember, self._tell = changed, remember, tell
        self._current: State | None = None  # the newest answers to the prompt on the panes
        self.before: State | None = None  # of the prompt before it
        self.pinned: State | None = None
        self.a: Session | None = None
        self.keeps = False  # not until what was kept before has been read
        self._asked: Question | None = None  # what B was asked when A was last brought up to it
        self._live = False  # can anything be computed for A?
        self._cache = DifferenceCache()
        self._background = BackgroundWork(tell)

    # -- what people do ---------------------------------------------------------------------------

    def turn(self) -> None:
        """Compare; then what is shown next, and off after the last."""
        compared = self._session.state.compared
        if compared is not None:
            view = compared.next_view()
            if view is None:
                self.leave()
            else:
                self._show(replace(compared, view=view))
            return
        a, name = self._other()
        if a is not None:
            self.begin(a, name)
        else:
            self._tell(name)

    def why_not_compare(self) -> str:
        """Why there is nothing to compare with now; empty: there is."""
        a, name = self._other()
        return name if a is None and self._session.state.compared is None else ""

    def why_not_pin(self) -> str:
        """Why this prompt cannot be pinned; empty: it can, or is."""
        now = kept(self._session.state)
        there = now.model is not None and any(answer.result for answer in now.slots.values())
        there = there or (self.pinned is not None and sides.same_prompt(self.pinned, now))
        return "" if there else "There is nothing to pin yet: run the prompt first."

    def pin(self) -> None:
        """This prompt is the A of comparisons from now on; the same prompt again: it no longer is."""
        now, refusal = kept(self._session.state), self.why_not_pin()
        if refusal:
            self._tell(refusal)
            return
        if self.pinned is not None and sides.same_prompt(self.pinned, now):
            self.pinned = None
            self._tell("Not pinned any more: the prompt before is compared with.")
            return
        self.pinned = now
        self._tell(f"Pinned. {shown_keys('compare')} compares the next prompts with it.")

    def _other(self) -> tuple[State | None, str]:
        """The A to begin with and what it is; or None and why there is none."""
        now = self._session.state
        if self.pinned is not None and not sides.same_prompt(self.pinned, now):
            return self.pinned, PINNED
        if self.before is not None and not sides.same_prompt(self.before, now):
            return self.before, BEFORE
        if self.pinned is not None:
            return None, "This prompt is the pinned one: run another to compare them."
        pin = command("pin_prompt").label
        return None, f"There is no prompt before this one. Run another, or pin this with “{pin}”."

    def begin(self, a: State, name: str, *, view: sides.Side = sides.DIFFERENCE_SIDE) -> None:
        """Compare with ``a``, a kept snapshot; on the same engine if it is of the model in use."""
        model, in_use = a.model, self._session.state.model
        a = replace(a, compared=None)
        self._live = model is not None and in_use is not None and model.info == in_use.info
        engine: EngineFactory = NoEngine
        if self._live and model is not None:
            engine = self._board.side(SIDE_PREFIX, model)
            now = self._session.state
            a = replace(a, devices=now.devices, asked_devices=now.asked_devices)
        self._start(a, engine, Compared(a, name, view))

    def begin_models(self, name: str, **opened: Any) -> None:
        """Compare with ``name`` on this prompt, in an engine of its own; ``opened``: as in ``boot``."""
        state = self._session.state
        empty = Answers({slot: Answer() for slot in state.slots})
        a = replace(
            state, model=None, good=None, slots=empty, engine=Engine(), compared=None,
            devices=(), asked_devices=1,
        )  # fmt: skip
        self._end()
        self._live, self._asked = True, state.question
        self.a = Session(a, self._slots, self._a_changed, self._tell_of_second, self._second)
        self.in_background(self.a.boot(name, run=False, **opened))
        self._show(Compared(a, name, models=True))

    def _tell_of_second(self, message: str, severity: Severity = "information") -> None:
        self._tell(f"Second model: {message}", severity)

    def _start(self, a: State, engine: EngineFactory, compared: Compared) -> None:
        self._end()
        self.a = session = Session(a, self._slots, self._a_changed, _silent, engine)
        self._asked = self._session.state.question
        info = a.model.info if a.model is not None else None
        name, device, dtype = (info.name, info.device, info.dtype) if info else ("", "auto", "auto")
        self.in_background(session.boot(name, device, dtype, run=False))
        self._show(compared)

    def leave(self) -> None:
        """No comparison any more; a second engine ends."""
        if self._session.state.compared is not None:
            self._end()
            self._show(None)

    def _end(self) -> None:
        ended, self.a = self.a, None
        self._board.leave(SIDE_PREFIX)
        if ended is None:
            return
        compared = self._session.state.compared
        if compared is not None and compared.name == PINNED:  # with what was computed for it
            self.pinned = kept(ended.state)
        elif compared is not None and compared.name == BEFORE:
            self.before = kept(ended.state)
        self.in_background(ended.close())

    def _show(self, compared: Compared | None) -> None:
        self._session.change(compared=compared)
        self._changed({*self._session.slots, "question"})
        if compared is not None:
            self._follow()

    def _a_changed(self, names: set[str]) -> None:
        compared = self._session.state.compared
        if self.a is None or compared is None:
            return
        if compared.models and self.a.state.engine.phase == "failed":
            self.leave()  # it has been told why
            return
        self._session.change(compared=replace(compared, a=self.a.state))
        self._changed(names | {"question"})

    # -- B goes on --------------------------------------------------------------------------------

    def changed(self, state: State) -> None:
        """The app's snapshot is ``state`` now: the prompt before is remembered, and A follows."""
        now, last = kept(state), self._current
        if any(each.result for each in now.slots.values()):  # else it may be refused yet
            if last is not None and last.question.text != now.question.text:
                # Its last answers still stand in the slots that the new prompt has not filled.
                late = kept(replace(state, question=last.question)).slots
                answered = {name: each for name, each in late.items() if each.result is not None}
                self.before = replace(last, slots=Answers({**last.slots, **answered}))
            self._current = now
        self._follow()
        if self.keeps:
            self._remember(COMPARED, sides.written_side(self._session.state))

    def _follow(self) -> None:
        state, a = self._session.state, self.a
        if a is None or state.compared is None:
            return
        models = state.compared.models
        self._freeze(state)
        followed = a.state
        if not self._live:
            return
        if not models and self._asked is not None:
            followed = sides.asked_of_both(followed, self._asked, state.question)
        self._asked = state.question
        wanted = sides.following(followed, state, models=models, selection=shown_selection(state))
        changes = {
            name: getattr(wanted, name)
            for name in (
                "question", "params", "analyses", "selection", "examples", "translators",
                "corrupted", "marked", "spans", "interventions",
            )
            if getattr(wanted, name) != getattr(a.state, name)
        }  # fmt: skip
        if changes:
            a.change(**changes)
        a.see(set(self._session.in_sight))

    def _freeze(self, state: State) -> None:
        """Another model is open: A stays what it is, and nothing can be computed for it."""
        a, compared = self.a, state.compared
        if a is None or compared is None or compared.models or not self._live:
            return
        model = a.state.model
        if model is not None and state.model is not None and model.info != state.model.info:
            self._live = False
            self._board.leave(SIDE_PREFIX)
            self._start(kept(a.state), NoEngine, replace(compared, a=kept(a.state)))
            self._tell(_TOLD_SO)

    def again(self) -> None:
        """Ask what A lacks once more, also what came to nothing."""
        if self.a is not None and self._live:
            missing = [
                name
                for name in self.a.in_sight
                if self.a.state.slots[name].result is None and self.a.state.slots[name].job is None
            ]
            self.a.run(*missing)

    def cancel(self) -> bool:
        """Cancel what runs for A; was there anything?"""
        return self.a is not None and self.a.cancel()

    # -- what is shown ----------------------------------------------------------------------------

    def shown(self, state: State) -> State:
        """What the panes show of ``state``."""
        return sides.shown(state, self._session.slots, self._cache)

    def refuses(self, asked: Command) -> str:
        """Why a pane's own command does nothing now: it would act on B while something else is shown."""
        compared = self._session.state.compared
        if compared is None or compared.view == sides.SECOND:
            return ""
        key = shown_keys("compare")
        if asked.id in sides.of_one_side(compared.view):
            return f"B − A is shown. “{asked.label}” is for one side: {key} goes on to A, then B."
        if "app" in asked.where or not set(asked.where) & set(self._session.slots):
            return ""
        if not sides.acts_on_b(compared.view, asked.id):
            return ""
        return f"{compared.view} is shown. “{asked.label}” acts on B: {key} goes on to it."

    def go_on(self, resume: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        """``resume`` what was compared when the app was left; from then on it is kept for the next time."""

        async def work() -> None:
            if resume is not None:
                await resume()
            self.keeps = True

        self.in_background(work())

    # -- life -------------------------------------------------------------------------------------

    async def settled(self) -> None:
        """Wait until A's engine is idle and what it said is told."""
        await self._background.settled()
        if self.a is not None and self._live:
            await self.a.settled()

    async def close(self) -> None:
        """A second engine ends with the app."""
        if self.a is not None:
            await self.a.close()
        await self._background.settled()

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """``settled`` and ``close`` wait for ``work``."""
        self._background.begin(work)


def _silent(message: str, severity: object = "information") -> None:
    """What goes wrong for A is said in the panes, in A and in B − A."""
