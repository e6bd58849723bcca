"""Sessions by name: this one is named, earlier ones are listed, opened, deleted, written as a report."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from interpboard.display import ascii_everywhere, visible
from interpboard.errors import InterpBoardError, StoreProblem

if TYPE_CHECKING:
    from interpboard.store import SavedSession
    from tui.controllers.notes import Notes
    from tui.controllers.notify import Tell
    from tui.controllers.ports import InputsLine, OpensScreens
    from tui.controllers.saved_runs import SavedRuns
    from tui.controllers.saver import Saver


class NamedSessions:
    """What concerns whole sessions; ``notes`` are read anew where they change."""

    def __init__(
        self,
        saver: Saver,
        notes: Notes,
        saved_runs: SavedRuns,
        screens: OpensScreens,
        input_line: InputsLine,
        tell: Tell,
    ) -> None:
        self._saver, self._notes, self._saved_runs = saver, notes, saved_runs
        self._screens, self._input_line, self._tell = screens, input_line, tell

    def name(self) -> None:
        """Ask for the name of this session."""
        if self._refused():
            return
        hints = (
            "Its results and notes are then kept, however many come after.",
            "interpboard --resume NAME opens it again; interpboard report NAME writes it.",
        )
        self._input_line(
            "Name of this session", hints, self._saver.current_session.name, self._named
        )

    def _named(self, text: str) -> None:
        self._notes.run(self._rename(text))

    async def _rename(self, name: str) -> None:
        try:
            await asyncio.to_thread(self._saver.current_session.rename, name, time.time())
        except InterpBoardError as problem:
            self._tell(str(problem), "error")
            return
        named = self._saver.current_session.name
        self._tell(f"This session is called {visible(named)}." if named else "It has no name now.")

    async def list(self) -> None:
        """List the sessions; the chosen one is opened."""
        from tui.dialogs.sessions import SessionsScreen

        if self._refused():
            return
        await self._saver.settled()
        current = self._saver.current_session
        try:
            found = await asyncio.to_thread(current.book.sessions)
        except InterpBoardError as problem:
            self._tell(str(problem), "error")
            return

        def chosen(session: SavedSession | None) -> None:
            if session is not None:
                self._notes.run(self._open(session))

        screen = SessionsScreen(found, current.id, self._delete)
        self._screens.push_screen(screen, chosen)

    async def _open(self, session: SavedSession) -> None:
        if await self._saved_runs.resume(str(session.id)):
            self._tell(f"What is computed from now on belongs to {visible(session.title)}.")

    def _delete(self, session: SavedSession) -> None:
        self._notes.run(self._deleted(session))

    async def _deleted(self, session: SavedSession) -> None:
        current = self._saver.current_session
        try:
            await asyncio.to_thread(current.book.delete, session.id)
        except InterpBoardError as problem:
            self._tell(str(problem), "error")
            return
        if current.id == session.id:
            current.leave()
        await self._notes.read()

    def report(self, path: Path, form: str) -> None:
        """Write this session, its notes as the text, to ``path``."""
        self._notes.run(self._report(path, form))

    async def _report(self, path: Path, form: str) -> None:
        from tui.files.export import write_export

        await self._saver.settled()
        try:
            text = await asyncio.to_thread(self._written, form)
            await asyncio.to_thread(write_export, path, text)
        except InterpBoardError as problem:
            self._tell(str(problem), "error")
        except OSError as error:
            self._tell(f"Cannot write {path}: {error.strerror or error}.", "error")
        else:
            self._tell(f"Written: {path.absolute()}")

    def _written(self, form: str) -> str:
        from interpboard.session_report import session_page, written

        current = self._saver.current_session
        there = (each for each in current.book.sessions() if each.id == current.id)
        found = next(there, None)
        if found is None:
            raise StoreProblem("This session holds nothing yet.", "Run a prompt, or write a note.")
        shown = ascii_everywhere.set(False)  # that is the terminal's limit, not the file's
        try:
            return written(session_page(current.book, found), form)
        finally:
            ascii_everywhere.reset(shown)

    def _refused(self) -> bool:
        if self._saver.off:
            self._tell("Nothing can be saved here, so there are no sessions.", "warning")
        return self._saver.off
