"""Finished results on disk: one SQLite file in the state folder, each result written whole or not at all.

A *run* is one result with its model and prompt (a ``Document`` of one) and what the user had asked.
The same result computed again is the same run, with a new time. Every call opens the file anew, so that
two apps can share it and none holds it open over a dropped link. A file that is damaged is set aside
under another name, never deleted, and a new one is begun with all that can be read in it: ``Store.notice``
says so. The file is for the user alone, like all that lies in the state folder.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from interpboard.config import in_state_folder, state_folder, state_path
from interpboard.errors import StoreProblem
from interpboard.files.atomic import open_private
from interpboard.results import Document
from interpboard.store.partial import partial_row, take_place
from interpboard.store.rows import (
    LISTED,
    REMEMBERED_TABLE,
    WRITTEN_COLUMNS,
    SavedRun,
    document_of,
    prepare,
    row_of,
    saved_run_of,
)
from interpboard.store.salvage import salvage
from interpboard.store.session_tables import COLUMN_KINDS, KEPT_BY_SESSIONS

_MOST = 2**62  # that SQLite can count
WAIT_S = 5.0  # for another app that is writing
_DAMAGE = (
    "malformed", "not a database", "no such", "no column", "corrupt", "ON CONFLICT clause",
    "Could not decode",
)  # fmt: skip

_T = TypeVar("_T")


@dataclass
class Store:
    """The runs in one file. Methods raise ``StoreProblem``; they block, so call them off the loop."""

    path: Path = field(default_factory=lambda: state_path() / "runs.sqlite")
    keep: int = 2000
    notice: str = ""

    def add(
        self,
        document: Document,
        slot: str,
        ask: Mapping[str, Any],
        made_at: float,
        goes_on: str = "",
    ) -> int:
        """Write the one result of ``document``; its number. The oldest beyond ``keep`` go.

        What was stopped gives its place to more of it. ``goes_on``: the request that this completes.
        """
        (result,) = document.results
        row = partial_row(row_of(document, slot, ask, made_at), result)

        def write(database: sqlite3.Connection) -> int:
            taken = take_place(database, row, result, goes_on)
            if taken is not None:
                return taken
            (number,) = database.execute(
                f"INSERT INTO runs ({WRITTEN_COLUMNS}) VALUES (?{', ?' * (len(row) - 1)}) "
                "ON CONFLICT (fingerprint) DO "
                "UPDATE SET made_at = excluded.made_at, slot = excluded.slot, ask = excluded.ask "
                "RETURNING id",
                row,
            ).fetchone()
            kept = KEPT_BY_SESSIONS if _has_sessions(database) else "SELECT NULL WHERE 0"
            database.execute(
                "DELETE FROM runs WHERE id NOT IN "
                "(SELECT id FROM runs ORDER BY made_at DESC, id DESC LIMIT ?) "
                f"AND id NOT IN ({kept})",
                (min(self.keep, _MOST),),
            )
            return int(number)

        return self.transact(write)

    def runs(self, limit: int = 1000) -> list[SavedRun]:
        """The newest runs, newest first, without their values."""

        def read(database: sqlite3.Connection) -> list[SavedRun]:
            rows = database.execute(
                f"SELECT {LISTED} FROM runs ORDER BY made_at DESC, id DESC LIMIT ?", (limit,)
            )
            return [saved_run_of(row) for row in rows]

        return self.transact(read)

    def document(self, id: int) -> Document:
        """The run ``id`` with its values. Raises ``StoreProblem`` also if it is gone or unreadable."""
        found = self.transact(
            lambda database: database.execute(
                "SELECT document FROM runs WHERE id = ?", (id,)
            ).fetchone()
        )
        if found is None:
            raise StoreProblem("That run is no longer in the store.")
        return document_of(found[0])

    def remember(self, name: str, value: Any) -> None:
        """Keep ``value``, which JSON can write, under ``name``, in place of what was there."""

        def write(database: sqlite3.Connection) -> None:
            database.execute(REMEMBERED_TABLE)
            database.execute("INSERT OR REPLACE INTO desk VALUES (?, ?)", (name, json.dumps(value)))

        self.transact(write)

    def recall(self, name: str) -> Any:
        """What ``remember`` kept under ``name``, None if nothing."""

        def read(database: sqlite3.Connection) -> Any:
            database.execute(REMEMBERED_TABLE)
            found = database.execute("SELECT value FROM desk WHERE name = ?", (name,)).fetchone()
            return None if found is None else found[0]

        text = self.transact(read)
        try:
            return None if text is None else json.loads(text)
        except (
            ValueError,
            RecursionError,
            TypeError,
        ):  # damage of one line: as if it had not been kept
            return None

    def transact(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """``work`` on the opened file, all of it or nothing; a damaged file is set aside first."""
        for last in (
            False,
            True,
        ):  # of a damaged file another app may have made a new one meanwhile
            try:
                return self._once(work)
            except UnicodeDecodeError:
                pass  # damage in the schema itself: SQLite quotes it
            except sqlite3.DatabaseError as error:
                if not any(word in str(error) for word in _DAMAGE):
                    raise _problem(error, self.path) from error
            except OSError as error:
                raise _problem(error, self.path) from error
            if last:
                self._set_aside()
        try:
            return self._once(work)
        except (sqlite3.DatabaseError, OSError) as error:
            raise _problem(error, self.path) from error

    def _once(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        with self._opened() as database, database:  # the inner one commits, or rolls back
            return work(database)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        if in_state_folder(self.path):
            state_folder()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.is_dir():  # SQLite makes its files as open as this one is
            os.close(open_private(self.path, os.O_RDWR | os.O_CREAT))
        with closing(sqlite3.connect(self.path, timeout=WAIT_S)) as database:
            prepare(database, self.path)
            yield database

    def _set_aside(self) -> None:
        number = 1
        while (aside := self.path.with_name(f"runs-damaged-{number}.sqlite")).exists():
            number += 1
        try:
            self.path.rename(aside)
            journal = Path(f"{self.path}-journal")
            if journal.exists():  # it belongs to the damaged file and would spoil the new one
                journal.rename(f"{aside}-journal")
        except OSError as error:
            raise _problem(error, self.path) from error
        self.notice = f"The store of runs was damaged; it is kept as {aside}, and a new one begun."
        try:
            with self._opened() as database:
                read, known = salvage(aside, database)
        except (sqlite3.DatabaseError, OSError) as error:
            raise _problem(error, self.path) from error
        of = f" of {known}" if known > read else ""
        runs = "run" if read == 1 and not of else "runs"
        self.notice += f" {read}{of} {runs} could be read and {'is' if read == 1 else 'are'} in it."


def _has_sessions(database: sqlite3.Connection) -> bool:
    names = tuple(COLUMN_KINDS)
    found = database.execute(
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN (?, ?, ?)", names
    ).fetchone()
    return bool(found[0] == len(names))


def _problem(error: Exception, path: Path) -> StoreProblem:
    """The error in the user's words."""
    message = str(error)
    if "full" in message:
        return StoreProblem(f"The disk is full: {path} takes no more.", "Free some space.")
    if "locked" in message:
        return StoreProblem(f"{path} is in use by another program.", "Is another app writing?")
    if "readonly" in message or "unable to open" in message or isinstance(error, OSError):
        why = (error.strerror or message) if isinstance(error, OSError) else message
        return StoreProblem(f"Cannot write {path}: {why}.", "Check its folder.")
    return StoreProblem(f"{path}: {message}.")
