"""Notes: written on what is under the cursor, listed, kept in the store beside the results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from interpboard.errors import StoreProblem
from tui.controllers.background import BackgroundWork

if TYPE_CHECKING:
    from interpboard.store import Note, NoteSubject
    from tui.controllers.notify import Tell
    from tui.controllers.ports import OpensScreens
    from tui.controllers.saver import Saver
    from tui.session.session import Session


class Notes:
    """``here`` names the slot of the active pane and the part under its cursor.

    What is written is on the screen once it is on the disk.
    """

    def __init__(
        self,
        session: Session,
        saver: Saver,
        screens: OpensScreens,
        here: Callable[[], tuple[str, str, bool]],
        tell: Tell,
    ) -> None:
        self._session, self._saver, self._screens = session, saver, screens
        self._here, self._tell = here, tell
        self._background = BackgroundWork(tell)

    async def read(self) -> None:
        """The notes of all sessions into the state; a store that is not there yet has none."""
        if self._saver.off:
            return
        try:
            found = await asyncio.to_thread(self._read)
        except StoreProblem as problem:
            self._tell(f"Notes cannot be read: {problem}", "warning")
            return
        if tuple(found) != self._session.state.notes:
            self._session.show_notes(tuple(found))

    def _read(self) -> list[Note]:
        return self._saver.current_session.book.notes() if self._saver.store.path.exists() else []

    def write(self) -> None:
        """Ask for a note on what is under the cursor; Tab takes what is around it."""
        from tui.dialogs.note import NoteScreen
        from tui.session.note_subjects import note_on, subjects

        if self._saver.off:
            self._tell("Nothing can be saved here, so no note can be kept.", "warning")
            return
        state, current = self._session.state, self._saver.current_session
        found = subjects(state, *self._here())
        known = [note_on(state, each, current.id) for each in found]
        texts = [note.text if note is not None else "" for note in known]

        def answered(answer: tuple[int, str] | None) -> None:
            if answer is not None:
                at, text = answer
                self._keep(found[at], text, known[at])

        self._screens.push_screen(NoteScreen(found, texts), answered)

    def list(self) -> None:
        """List the notes; what is chosen is edited, F8 takes one away."""
        from tui.dialogs.notes import NotesScreen

        def edited(note: Note | None) -> None:
            if note is not None:
                self._edit(note)

        state = self._session.state
        screen = NotesScreen(state.notes, self._saver.current_session.id, self._drop)
        self._screens.push_screen(screen, edited)

    def _edit(self, note: Note) -> None:
        from tui.dialogs.note import NoteScreen

        def answered(answer: tuple[int, str] | None) -> None:
            if answer is not None:
                self._keep(note.subject, answer[1], note)

        self._screens.push_screen(NoteScreen([note.subject], [note.text]), answered)

    def _drop(self, note: Note) -> None:
        self._keep(note.subject, "", note)

    def _keep(self, subject: NoteSubject, text: str, known: Note | None) -> None:
        if known is None and not text.strip():
            return
        # An older note keeps its subject and its session: it is that note which was edited.
        session = known.session if known is not None else None
        on = known.subject if known is not None else subject
        self.run(self._write(on, text, session))

    async def _write(self, subject: NoteSubject, text: str, session: int | None) -> None:
        current = self._saver.current_session
        try:
            await asyncio.to_thread(current.write_note, subject, text, time.time(), session)
        except StoreProblem as problem:
            self._tell(f"The note is not saved: {problem}", "error")
            return
        await self.read()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Carry out ``work`` beside what else is done."""
        self._background.begin(work)

    async def idle(self) -> None:
        """Wait until all is written."""
        await self._background.settled()
