"""Finished results on disk: one SQLite file in the state folder, each result written whole or not at all.

A *run* is one result with its model and prompt (a ``Document`` of one) and what the user had asked.
The same result computed again is the same run, with a new time. Every call opens the file anew, so that
two apps can share it and none holds it open over a dropped link. A file that is damaged is set aside
under another name, never deleted, and a new one is begun: ``Store.notice`` says so.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from interpboard.config import state_folder
from interpboard.errors import StoreProblem
from interpboard.results import Document, pack, unpack

VERSION = 1
WAIT_S = 5.0  # for another app that is writing
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, fingerprint BLOB UNIQUE NOT NULL, made_at REAL NOT NULL,
    model TEXT NOT NULL, prompt TEXT NOT NULL, analysis TEXT NOT NULL, metric TEXT NOT NULL,
    target TEXT NOT NULL, foil TEXT NOT NULL, params TEXT NOT NULL, elapsed_s REAL NOT NULL,
    slot TEXT NOT NULL, ask TEXT NOT NULL, document BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS newest ON runs (made_at DESC, id DESC);
"""
# What is not a result and comes back with them. Files of before it was thought of have no such table.
_DESK = "CREATE TABLE IF NOT EXISTS desk (name TEXT PRIMARY KEY, value TEXT NOT NULL)"
_COLUMNS = (
    "id, made_at, model, prompt, analysis, metric, target, foil, elapsed_s, slot, params, ask"
)
_WRITTEN = (
    "fingerprint, made_at, model, prompt, analysis, metric, target, foil, params, elapsed_s, slot, "
    "ask, document"
)
_DAMAGE = (
    "malformed", "not a database", "no such", "no column", "corrupt", "ON CONFLICT clause",
    "Could not decode",
)  # fmt: skip

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """A line of the list. ``slot`` is where the app shows it, ``ask`` what had been asked."""

    id: int
    made_at: float
    model: str
    prompt: str
    analysis: str
    metric: str
    target: str
    foil: str
    elapsed_s: float
    slot: str
    params: dict[str, Any]
    ask: dict[str, Any]


@dataclass
class Store:
    """The runs in one file. Methods raise ``StoreProblem``; they block, so call them off the loop."""

    path: Path = field(default_factory=lambda: state_folder() / "runs.sqlite")
    keep: int = 2000
    notice: str = ""

    def add(self, document: Document, slot: str, ask: Mapping[str, Any], made_at: float) -> int:
        """Write the one result of ``document``; its number. The oldest beyond ``keep`` go."""
        (result,) = document.results
        same = msgspec.structs.replace(result, elapsed_s=0.0)
        whole = msgspec.structs.replace(document, results=(same,))
        metric = result.metric
        row = (
            hashlib.blake2b(pack(whole), digest_size=16).digest(), made_at, document.model.name,
            document.prompt.text, result.analysis, metric.name,
            metric.target.token if metric.target else "", metric.against.token if metric.against else "",
            json.dumps(result.params, default=str), result.elapsed_s, slot, json.dumps(dict(ask)),
            zlib.compress(pack(document), 1),
        )  # fmt: skip

        def write(database: sqlite3.Connection) -> int:
            (number,) = database.execute(
                f"INSERT INTO runs ({_WRITTEN}) VALUES (?{', ?' * (len(row) - 1)}) "
                "ON CONFLICT (fingerprint) DO "
                "UPDATE SET made_at = excluded.made_at, slot = excluded.slot, ask = excluded.ask "
                "RETURNING id",
                row,
            ).fetchone()
            database.execute(
                "DELETE FROM runs WHERE id NOT IN "
                "(SELECT id FROM runs ORDER BY made_at DESC, id DESC LIMIT ?)",
                (self.keep,),
            )
            return int(number)

        return self._do(write)

    def runs(self, limit: int = 1000) -> list[Run]:
        """The newest runs, newest first, without their values."""

        def read(database: sqlite3.Connection) -> list[Run]:
            rows = database.execute(
                f"SELECT {_COLUMNS} FROM runs ORDER BY made_at DESC, id DESC LIMIT ?", (limit,)
            )
            return [Run(*(*row[:-2], _table(row[-2]), _table(row[-1]))) for row in rows]

        return self._do(read)

    def document(self, id: int) -> Document:
        """The run ``id`` with its values. Raises ``StoreProblem`` also if it is gone or unreadable."""
        found = self._do(
            lambda database: database.execute(
                "SELECT document FROM runs WHERE id = ?", (id,)
            ).fetchone()
        )
        if found is None:
            raise StoreProblem("That run is no longer in the store.")
        try:
            document: Document = unpack(zlib.decompress(found[0]), Document)
        except (zlib.error, msgspec.MsgspecError, ValueError, KeyError, TypeError) as error:
            raise StoreProblem("That run cannot be read: its bytes are damaged.") from error
        return document

    def remember(self, name: str, value: Any) -> None:
        """Keep ``value``, which JSON can write, under ``name``, in place of what was there."""

        def write(database: sqlite3.Connection) -> None:
            database.execute(_DESK)
            database.execute("INSERT OR REPLACE INTO desk VALUES (?, ?)", (name, json.dumps(value)))

        self._do(write)

    def recall(self, name: str) -> Any:
        """What ``remember`` kept under ``name``, None if nothing."""

        def read(database: sqlite3.Connection) -> Any:
            database.execute(_DESK)
            found = database.execute("SELECT value FROM desk WHERE name = ?", (name,)).fetchone()
            return None if found is None else found[0]

        text = self._do(read)
        try:
            return None if text is None else json.loads(text)
        except ValueError:  # damage of one line: as if it had not been kept
            return None

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return self._once(work)
        except UnicodeDecodeError:
            pass  # damage in the schema itself: SQLite quotes it
        except sqlite3.DatabaseError as error:
            if not any(word in str(error) for word in _DAMAGE):
                raise _problem(error, self.path) from error
        except OSError as error:
            raise _problem(error, self.path) from error
        self._set_aside()
        try:
            return self._once(work)
        except (sqlite3.DatabaseError, OSError) as error:
            raise _problem(error, self.path) from error

    def _once(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._opened() as database, database:  # the inner one commits, or rolls back
            return work(database)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=WAIT_S)) as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise StoreProblem(
                    f"{self.path} was written by a newer interpboard.", "Upgrade, or move it away."
                )
            if version == 0:
                database.executescript(f"{_SCHEMA}PRAGMA user_version = {VERSION};")
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


def _table(text: str) -> dict[str, Any]:
    try:
        table = json.loads(text)
    except ValueError:
        return {}
    return table if isinstance(table, dict) else {}


def _problem(error: Exception, path: Path) -> StoreProblem:
    """The error in the user's words."""
    said = str(error)
    if "full" in said:
        return StoreProblem(f"The disk is full: {path} takes no more.", "Free some space.")
    if "locked" in said:
        return StoreProblem(f"{path} is in use by another program.", "Is another app writing?")
    if "readonly" in said or "unable to open" in said or isinstance(error, OSError):
        why = (error.strerror or said) if isinstance(error, OSError) else said
        return StoreProblem(f"Cannot write {path}: {why}.", "Check its folder.")
    return StoreProblem(f"{path}: {said}.")
