"""Sessions and notes, in the file of the saved runs.

A *session* is what was computed and noted between start and end of the app, or what it went on with; it may
have a name. A *note* is a text on something: the session, a prompt, a result, a head, an MLP, a neuron. It
belongs to the session in which it was written, and to its subject: the same head of the same weights, the
same prompt.

The tables are made when something is first written, so that a store of any version can have them. Runs of a
session that has a name or a note are never dropped to make room.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from interpboard.errors import StoreProblem
from interpboard.store.notes import NOTE_COLUMNS, Note, NoteSubject, note_of
from interpboard.store.rows import LISTED, SavedRun, saved_run_of
from interpboard.store.runs import Store
from interpboard.store.session_tables import COLUMN_KINDS, TABLES

LONGEST_NAME = 60
_MOST_PROMPTS = 20  # of a session, in the list


@dataclass(frozen=True)
class SavedSession:
    """One session as lists show it. ``prompts``: the newest first; ``name`` may be empty."""

    id: int
    name: str
    begun_at: float
    used_at: float
    runs: int = 0
    notes: int = 0
    prompts: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()  # of its notes

    @property
    def title(self) -> str:
        """Its name, or its number where it has none."""
        return self.name or f"session {self.id}"


class SessionBook:
    """The sessions and notes of a store. Methods raise ``StoreProblem``; they block."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # -- sessions ---------------------------------------------------------------------------------

    def begin(self, at: float) -> int:
        """A new session without a name; its number."""

        def write(database: sqlite3.Connection) -> int:
            _prepare(database)
            found = database.execute(
                "INSERT INTO sessions (name, begun_at, used_at) VALUES ('', ?, ?)", (at, at)
            )
            return int(found.lastrowid or 0)

        return self.store.transact(write)

    def add(self, session: int, run: int, at: float) -> None:
        """``run`` was made in ``session``."""

        def write(database: sqlite3.Connection) -> None:
            _prepare(database)
            database.execute("INSERT OR IGNORE INTO session_runs VALUES (?, ?)", (session, run))
            _used(database, session, at)

        self.store.transact(write)

    def name(self, session: int, name: str) -> None:
        """Call ``session`` ``name``; empty takes its name away. Raises for a name that another has."""
        name = name.strip()
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise StoreProblem(
                "A session's name is one line.", f"Use at most {LONGEST_NAME} characters."
            )
        if name.isascii() and name.isdigit():
            raise StoreProblem("A name that is a number would be another session's number.")

        def write(database: sqlite3.Connection) -> None:
            _prepare(database)
            taken = database.execute(
                "SELECT id FROM sessions WHERE name = ? AND id != ?", (name, session)
            ).fetchone()
            if name and taken is not None:
                raise StoreProblem(
                    f"There is a session called {name!r} already.",
                    "Choose another name, or rename that one.",
                )
            changed = database.execute("UPDATE sessions SET name = ? WHERE id = ?", (name, session))
            if not changed.rowcount:
                raise StoreProblem("That session is no longer in the store.")

        self.store.transact(write)

    def sessions(self, words: str = "") -> list[SavedSession]:
        """Those that hold anything or have a name, the one used last first.

        ``words``: each of them stands in the name, a prompt or a note.
        """

        def read(database: sqlite3.Connection) -> list[SavedSession]:
            _prepare(database)
            rows = database.execute(
                "SELECT id, name, begun_at, used_at FROM sessions ORDER BY used_at DESC, id DESC"
            ).fetchall()
            return [_session(database, row) for row in rows if _is_session(row)]

        found = [each for each in self.store.transact(read) if each.name or each.runs or each.notes]
        wanted = words.lower().split()
        return [each for each in found if _fits(each, wanted)]

    def find(self, named: str) -> SavedSession:
        """The session of that name, else of that number.

        Raises ``StoreProblem`` that says which there are.
        """
        named = named.strip()
        there = self.sessions()
        for each in there:
            if each.name == named:
                return each
        for each in there:
            if named == str(each.id):
                return each
        titles = ", ".join(each.name or str(each.id) for each in there[:10])
        raise StoreProblem(
            f"There is no session called {named!r}.",
            f"There are: {titles}{' …' if len(there) > 10 else ''}."
            if there
            else "None was saved yet.",
        )

    def runs(self, session: int) -> list[SavedRun]:
        """The runs of a session that are still there, the oldest first."""
        columns = ", ".join(f"runs.{name}" for name in LISTED.split(", "))

        def read(database: sqlite3.Connection) -> list[SavedRun]:
            _prepare(database)
            rows = database.execute(
                f"SELECT {columns} FROM runs JOIN session_runs ON session_runs.run = runs.id "
                "WHERE session_runs.session = ? ORDER BY runs.made_at, runs.id",
                (session,),
            )
            return [saved_run_of(row) for row in rows]

        return self.store.transact(read)

    def dropped(self, session: int) -> int:
        """How many results of a session are not kept any more."""

        def read(database: sqlite3.Connection) -> int:
            _prepare(database)
            (count,) = database.execute(
                "SELECT count(*) FROM session_runs WHERE session = ? AND run NOT IN (SELECT id FROM runs)",
                (session,),
            ).fetchone()
            return int(count)

        return self.store.transact(read)

    def delete(self, session: int) -> None:
        """Take a session away: its notes, and the runs that no other session has."""

        def write(database: sqlite3.Connection) -> None:
            _prepare(database)
            database.execute(
                "DELETE FROM runs WHERE id IN (SELECT run FROM session_runs WHERE session = ?) "
                "AND id NOT IN (SELECT run FROM session_runs WHERE session != ?)",
                (session, session),
            )
            database.execute("DELETE FROM session_runs WHERE session = ?", (session,))
            database.execute("DELETE FROM notes WHERE session = ?", (session,))
            database.execute("DELETE FROM sessions WHERE id = ?", (session,))

        self.store.transact(write)

    # -- notes ------------------------------------------------------------------------------------

    def write_note(self, session: int, subject: NoteSubject, text: str, at: float) -> None:
        """``text`` is the note of ``session`` on ``subject``, in place of the one there was; empty: none."""

        def write(database: sqlite3.Connection) -> None:
            _prepare(database)
            database.execute(
                "DELETE FROM notes WHERE session = ? AND kind = ? AND model = ? AND weights = ? "
                "AND prompt = ? AND place = ?",
                (session, *subject.columns),
            )
            if text.strip():
                database.execute(
                    f"INSERT INTO notes ({NOTE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (session, *subject.columns, text.strip(), at),
                )
            _used(database, session, at)

        self.store.transact(write)

    def notes(self, session: int | None = None) -> list[Note]:
        """The notes of a session, or all, in the order in which they were written."""

        def read(database: sqlite3.Connection) -> list[Note]:
            _prepare(database)
            where, given = ("", ()) if session is None else ("WHERE session = ?", (session,))
            rows = database.execute(
                f"SELECT {NOTE_COLUMNS} FROM notes {where} ORDER BY written_at, id", given
            )
            return [note for row in rows if (note := note_of(row)) is not None]

        return self.store.transact(read)


def _prepare(database: sqlite3.Connection) -> None:
    for table in TABLES:
        database.execute(table)


def _used(database: sqlite3.Connection, session: int, at: float) -> None:
    """Also a session that was deleted under the app that is in it: what is made from now on is kept."""
    database.execute("INSERT OR IGNORE INTO sessions VALUES (?, '', ?, ?)", (session, at, at))
    database.execute("UPDATE sessions SET used_at = ? WHERE id = ?", (at, session))


def _session(database: sqlite3.Connection, row: Sequence[Any]) -> SavedSession:
    runs = database.execute(
        "SELECT prompt FROM runs JOIN session_runs ON session_runs.run = runs.id "
        "WHERE session_runs.session = ? ORDER BY runs.made_at DESC, runs.id DESC",
        (row[0],),
    ).fetchall()
    notes = database.execute(
        "SELECT text FROM notes WHERE session = ? ORDER BY written_at, id", (row[0],)
    ).fetchall()
    prompts = dict.fromkeys(prompt for (prompt,) in runs if isinstance(prompt, str))
    texts = tuple(text for (text,) in notes if isinstance(text, str))
    id, name, begun_at, used_at = row
    shown = tuple(prompts)[:_MOST_PROMPTS]
    return SavedSession(id, name, begun_at, used_at, len(runs), len(texts), shown, texts)


def _is_session(row: Sequence[Any]) -> bool:
    kinds = COLUMN_KINDS["sessions"]
    return all(isinstance(value, kind) for value, kind in zip(row, kinds, strict=True))


def _fits(session: SavedSession, words: Sequence[str]) -> bool:
    text = "\n".join((session.name, *session.prompts, *session.texts)).lower()
    return all(word in text for word in words)
