"""Saved runs in the app: the list of them, reopening one, resuming after a dropped link."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from interpboard.display import visible
from interpboard.errors import InterpBoardError
from tui.commands.command import keyed
from tui.session.state import Answer, Answers

if TYPE_CHECKING:
    from interpboard.results import Document
    from interpboard.store import SavedRun
    from tui.controllers.notify import Tell
    from tui.controllers.saver import Saver
    from tui.session.session import Session


class SavedRuns:
    """Reads the store of ``saver``. ``shown(slot)`` is called with a slot that was reopened, ``compare`` with
    saved answers that the panes are compared with, and what they are; ``offer`` with a second model that was
    open, and how it had been opened."""

    def __init__(
        self,
        session: Session,
        saver: Saver,
        tell: Tell,
        shown: Callable[[str], None],
        open_list: Callable[[], None],
        compare: Callable[..., None],
        offer: Callable[[str, str], Coroutine[Any, Any, None]],
    ) -> None:
        self._session, self._saver, self._tell, self._shown = session, saver, tell, shown
        self._compare, self._offer = compare, offer
        self.list: Callable[[], None] = open_list

    def _runs(self) -> list[SavedRun]:
        from tui.session.restoring import renamed

        return renamed(self._saver.store.runs(), self._session.slots.values())

    async def _found(self, run: SavedRun) -> list[tuple[SavedRun, Document]]:
        """``run`` and what was computed on the same question; nothing, and why, if no pane shows it."""
        from tui.session.restoring import renamed, together

        slots, store = self._session.slots, self._saver.store
        (run,) = renamed([run], slots.values())
        if run.slot not in slots:
            self._tell(
                keyed("No pane shows this analysis: {key:runs_whole} shows it whole."), "warning"
            )
            return []
        runs = await asyncio.to_thread(self._runs)
        return [
            (one, await asyncio.to_thread(store.document, one.id)) for one in together(runs, run)
        ]

    async def compare(self, run: SavedRun) -> None:
        """Compare the panes with ``run`` and what was computed on the same question."""
        from tui.session.restoring import restored

        session = self._session
        try:
            found = await self._found(run)
        except InterpBoardError as problem:
            self._tell(str(problem), "error")
            return
        if found:
            self._compare(restored(session.state, session.slots, found), "saved")

    async def resume_comparison(self) -> None:
        """Compare again with what was compared when the app was left, or say why not."""
        from tui.controllers.saver import COMPARED
        from tui.session.restoring import question_of, restored

        session = self._session
        try:
            kept = await asyncio.to_thread(self._saver.store.recall, COMPARED)
            match kept:
                case {
                    "name": str(name),
                    "with": str(compared),
                    "view": "A" | "B" | "B − A" as view,
                    "models": models,
                    "model": str(model),
                    "weights": str(weights),
                    "prompt": str(prompt),
                }:
                    named = str(kept.get("shown", prompt))
                    if compared != session.state.question.text:
                        return  # that was another prompt's
                    if models:
                        opened = [str(kept.get("dtype", "")), *map(str, kept.get("opened", ()))]
                        await self._offer(model, shlex.join(word for word in opened if word))
                        return
                    runs = await asyncio.to_thread(self._runs)
                case _:
                    return
            of = (model, weights, prompt)
            of_prompt = [
                run for run in runs if (run.model, run.weights, question_of(run).text) == of
            ]
            found = await self._found(of_prompt[0]) if of_prompt else []
        except InterpBoardError as problem:
            self._tell(f"Not compared again: {problem}", "error")
            return
        if found:
            self._compare(restored(session.state, session.slots, found), name, view=view)
        else:
            self._tell(f"Not compared again: nothing of “{named}” is saved any more.", "warning")

    def _runs_of(self, session: str) -> list[SavedRun]:
        """The newest first; of ``session``, or of all while the app goes on in the one used last."""
        from tui.session.restoring import renamed

        book, current = self._saver.current_session.book, self._saver.current_session
        if session:
            found = book.find(session)
            of_session = list(reversed(book.runs(found.id)))
            if of_session:  # where nothing is brought back, nothing is gone on with either
                current.go_on(found)
            return renamed(of_session, self._session.slots.values())
        runs = self._runs()
        newest = next((each for each in book.sessions() if each.runs), None)
        if newest is not None and runs:
            current.go_on(newest)
        return runs

    async def resume(self, session: str = "") -> bool:
        """The newest question with all its results, as before a dropped link; false: there is none.

        ``session``: only results of the one of that name or number. What is computed from now on belongs to
        the session that is resumed.
        """
        store = self._saver.store
        try:
            runs = await asyncio.to_thread(self._runs_of, session)
        except InterpBoardError as problem:
            self._tell(f"Not resumed: {problem}", "error")
            return False
        notice, store.notice = store.notice, ""
        if notice:
            self._tell(notice, "warning")
        slots = self._session.slots
        known = [r for r in runs if r.slot in slots and slots[r.slot].resumes]
        if not known and not notice:
            where = f" in the session {visible(session)}" if session else ""
            self._tell(f"There is no saved run to resume{where}.")
        if not known:
            return False
        return await self.reopen(known[0], as_left=True)

    async def reopen(self, run: SavedRun, as_left: bool = False) -> bool:
        """Put ``run``, and what was computed on the same question, back into the panes.

        ``as_left``: with the last list of interventions on it, not that of ``run``.
        """
        from tui.session.restoring import of_other_texts, question_of, restored

        session = self._session
        try:
            found = await self._found(run)
            interventions = (
                await asyncio.to_thread(self._saver.interventions, run.model, question_of(run).text)
                if as_left
                else None
            )
            if not found:
                return False
            run = found[0][0]
            state = restored(session.state, session.slots, found, interventions)
            runs = await asyncio.to_thread(self._runs)
            for one, request in of_other_texts(runs, run, state, session.slots.values()):
                saved = await asyncio.to_thread(self._saver.store.document, one.id)
                answer = Answer(saved.results[0], saved.prompt, saved.model, request)
                state = replace(state, slots=Answers({**state.slots, one.slot: answer}))
        except InterpBoardError as problem:
            self._tell(str(problem), "error")
            return False
        session.restore(state)
        session.say_other_weights()
        self._shown(run.slot)
        return True
