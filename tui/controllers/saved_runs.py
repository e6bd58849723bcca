"""Saved runs in the app: the Runs screen, reopening, resuming. A mixin of the app."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from interpboard.errors import InterpBoardError
from tui.controllers.part import Part
from tui.controllers.saver import together

if TYPE_CHECKING:
    from interpboard.store import Run


class History(Part):
    """Actions of ``InterpBoardApp`` on the store."""

    def action_runs(self) -> None:
        """The saved runs."""
        from tui.dialogs.runs import RunsScreen

        async def chosen(run: Run | None) -> None:
            if run is not None:
                await self.reopen(run)

        self.push_screen(RunsScreen(self._me.saver.store), chosen)

    async def resume(self) -> bool:
        """The newest question with all its results, as before a dropped link; false: there is none."""
        app = self._me
        try:
            runs = await asyncio.to_thread(app.saver.store.runs)
        except InterpBoardError as problem:
            app.tell(f"Not resumed: {problem}", "error")
            return False
        notice, app.saver.store.notice = app.saver.store.notice, ""
        if notice:
            app.tell(notice, "warning")
        # A circuit is of a dataset more often than of a prompt: it has a screen of its own.
        known = [run for run in runs if run.slot in app.state.slots and run.slot != "circuit"]
        if not known and not notice:
            app.tell("There is no saved run to resume.", "information")
        if not known:
            return False
        return await self.reopen(known[0], as_left=True)

    async def reopen(self, run: Run, as_left: bool = False) -> bool:
        """Put ``run``, and what was computed on the same question, back into the panes.

        ``as_left``: with what was held last on it, not what ``run`` says was held.
        """
        from tui.session.restoring import restored

        app = self._me
        if run.slot not in app.state.slots:
            app.tell("No pane shows this analysis: z shows it whole.", "warning")
            return False
        store = app.saver.store
        try:
            runs = await asyncio.to_thread(store.runs)
            found = [
                (one, await asyncio.to_thread(store.document, one.id))
                for one in together(runs, run)
            ]
            held = (
                await asyncio.to_thread(app.saver.held, run.model, run.prompt) if as_left else None
            )
        except InterpBoardError as problem:
            app.tell(str(problem), "error")
            return False
        app.session.restore(restored(app.state, found, held))
        app.session.say_other_weights()
        app.prompt.show(app.state.ask.text)
        app.go(run.slot)
        return True
