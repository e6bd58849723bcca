"""The rows that can still be read in a damaged store, one by one, into a new one.

SQLite gives up a whole query at the first damaged page. So the numbers of the rows are gathered from wherever
they are told (the table from both ends, its indices), and each row is then asked for by itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from interpboard.errors import StoreProblem
from interpboard.store.rows import (
    LISTED,
    REMEMBERED_TABLE,
    WRITTEN_COLUMNS,
    document_of,
    saved_run_of,
)
from interpboard.store.session_tables import COLUMN_KINDS, TABLES

_TOLD = (
    "SELECT id FROM runs ORDER BY id",
    "SELECT id FROM runs ORDER BY id DESC",
    "SELECT id FROM runs INDEXED BY newest ORDER BY made_at DESC, id DESC",
    "SELECT id FROM runs INDEXED BY sqlite_autoindex_runs_1",
)
_MOST = 100_000  # numbers between those that are told, of which each is tried
_OLD = WRITTEN_COLUMNS.removesuffix(", weights")  # what every version has


class Salvaged(NamedTuple):
    """How many runs were read, and how many are known to have been there."""

    read: int
    known: int


def salvage(damaged: Path, new: sqlite3.Connection) -> Salvaged:
    """Copy every readable run, and what is remembered beside them, from ``damaged`` into ``new``.

    Runs keep their numbers; nothing is written to ``damaged``. Raises ``sqlite3.DatabaseError`` where
    ``new`` takes no more.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(str(damaged))}?mode=ro", uri=True)) as old:
            told_of = _told(old)
            listed = LISTED if _has_weights(old) else LISTED.replace("weights", "''")
            found = {number: _row(old, listed, number) for number in _candidates(told_of)}
            remembered = list(_each(old, "SELECT name, value FROM desk"))
            sessions = list(_of_sessions(old))
    except sqlite3.Error:  # it cannot even be opened
        return Salvaged(0, 0)
    rows = [row for row in found.values() if row is not None]
    places = ", ".join("?" * len(f"id, {WRITTEN_COLUMNS}".split(",")))
    with new:
        new.executemany(
            f"INSERT OR IGNORE INTO runs (id, {WRITTEN_COLUMNS}) VALUES ({places})", rows
        )
        new.execute(REMEMBERED_TABLE)
        texts = [row for row in remembered if all(isinstance(value, str) for value in row)]
        new.executemany("INSERT OR REPLACE INTO desk VALUES (?, ?)", texts)
        for table in TABLES if sessions else ():
            new.execute(table)
        for name, row in sessions:
            new.execute(f"INSERT OR IGNORE INTO {name} VALUES ({', '.join('?' * len(row))})", row)
    return Salvaged(len(rows), len(told_of | {row[0] for row in rows}))


def _of_sessions(old: sqlite3.Connection) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Rows of sessions and notes with the name of their table, from both ends up to a damaged page."""
    for name, kinds in COLUMN_KINDS.items():
        key = "id" if name != "session_runs" else "session, run"
        for order in (key, ", ".join(f"{column} DESC" for column in key.split(", "))):
            for row in _each(old, f"SELECT * FROM {name} ORDER BY {order}"):
                if len(row) == len(kinds) and all(map(isinstance, row, kinds)):
                    yield name, row


def _told(old: sqlite3.Connection) -> set[int]:
    """The numbers of runs, from wherever they can be read."""
    rows = (row for query in _TOLD for row in _each(old, query))
    return {number for (number,) in rows if isinstance(number, int)}


def _candidates(told: set[int]) -> list[int]:
    """Also those between, of which nothing tells where a page of the table and one of each index are lost."""
    if told and max(told) - min(told) < _MOST:
        return list(range(min(told), max(told) + 1))
    return sorted(told)


def _row(old: sqlite3.Connection, listed: str, number: int) -> tuple[Any, ...] | None:
    """The columns ``id`` and ``WRITTEN_COLUMNS`` of a run whose every part can be read."""
    try:
        row = old.execute(f"SELECT {listed} FROM runs WHERE id = ?", (number,)).fetchone()
        if row is None:
            return None
        run = saved_run_of(row)
        values = old.execute(f"SELECT id, {_OLD} FROM runs WHERE id = ?", (number,)).fetchone()
        document_of(values[-1])
    except (sqlite3.Error, UnicodeDecodeError, StoreProblem, TypeError, OverflowError):
        return None
    return (*values, run.weights)


def _has_weights(old: sqlite3.Connection) -> bool:
    return any(column[1] == "weights" for column in _each(old, "PRAGMA table_info(runs)"))


def _each(old: sqlite3.Connection, query: str) -> Iterator[tuple[Any, ...]]:
    """Rows up to the first damaged page."""
    try:
        yield from old.execute(query)
    except (sqlite3.Error, UnicodeDecodeError):
        return
