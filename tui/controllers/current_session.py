"""The session that the app is in, begun in the store with the first thing that belongs to it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interpboard.store import NoteSubject, SavedSession, SessionBook, Store


class CurrentSession:
    """``store`` gives the store. Methods block and raise ``StoreProblem``: they are called off the loop."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._begun = Lock()  # results and notes are written by threads of their own
        self.id: int | None = None
        self.name = ""

    @property
    def book(self) -> SessionBook:
        """All sessions and notes."""
        from interpboard.store import SessionBook

        return SessionBook(self._store())

    def number(self, at: float) -> int:
        """The number of this session, which begins now if it has not."""
        with self._begun:
            if self.id is None:
                self.id = self.book.begin(at)
            return self.id

    def add(self, run: int, at: float) -> None:
        """``run`` was made in it."""
        self.book.add(self.number(at), run, at)

    def rename(self, name: str, at: float) -> None:
        """It is called ``name`` from now on."""
        self.book.name(self.number(at), name)
        self.name = name.strip()

    def write_note(self, subject: NoteSubject, text: str, at: float, session: int | None) -> None:
        """A note of this session, or of the other ``session`` that it was written in."""
        self.book.write_note(self.number(at) if session is None else session, subject, text, at)

    def go_on(self, session: SavedSession) -> None:
        """What is made from now on belongs to ``session``."""
        with self._begun:
            self.id, self.name = session.id, session.name

    def leave(self) -> None:
        """What is made from now on belongs to a session that begins with it."""
        with self._begun:
            self.id, self.name = None, ""
