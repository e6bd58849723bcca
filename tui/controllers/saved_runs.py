"""Saved runs in the app: the list of them, reopening one, resuming after a dropped link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from interpboard.display import visible
from interpboard.errors import InterpBoardError

if TYPE_CHECKING:
    from interpboard.store import SavedRun
    from tui.controllers.notify import Tell
    from tui.controllers.saver import Saver
    from tui.session.session import Session


class SavedRuns:
    """Reads the store of ``saver``. ``shown(slot)`` is called with a slot that was reopened."""

    def __init__(
        self,
        session: Session,
        saver: Saver,
        tell: Tell,
        shown: Callable[[str], None],
        open_list: Callable[[], None],
    ) -> None:
        self._session, self._saver, self._tell, self._shown = session, saver, tell, shown
        self.list = open_list

    def _runs(self) -> list[SavedRun]:
        from tui.session.restoring import renamed

        return renamed(self._saver.store.runs(), self._session.slots.values())

    def _runs_of(self, session: str) -> list[SavedRun]:
        """The newest first; of ``session``, or of all while the sitting goes on in the one used last."""
        from tui.session.restoring import renamed

        book, sitting = self._saver.sitting.book, self._saver.sitting
        if session:
            found = book.find(session)
            sitting.go_on(found)
            return renamed(reversed(book.runs(found.id)), self._session.slots.values())
        runs = self._runs()
        newest = next((each for each in book.sessions() if each.runs), None)
        if newest is not None and runs:
            sitting.go_on(newest)
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
        from tui.session.restoring import renamed, restored, together

        session, store = self._session, self._saver.store
        (run,) = renamed([run], session.slots.values())
        if run.slot not in session.slots:
            self._tell("No pane shows this analysis: z shows it whole.", "warning")
            return False
        try:
            runs = await asyncio.to_thread(self._runs)
            found = [
                (one, await asyncio.to_thread(store.document, one.id))
                for one in together(runs, run)
            ]
            interventions = (
                await asyncio.to_thread(self._saver.interventions, run.model, run.prompt)
                if as_left
                else None
            )
        except InterpBoardError as problem:
            self._tell(str(problem), "error")
            return False
        session.restore(restored(session.state, session.slots, found, interventions))
        session.say_other_weights()
        self._shown(run.slot)
        return True
