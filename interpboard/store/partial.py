"""A run that was stopped has one row, whatever is computed of it: more of it takes the place of less, and the
whole result the place of them all. So a session that has the row keeps it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from typing import Any

from interpboard.errors import StoreProblem
from interpboard.results import Result
from interpboard.store.rows import WRITTEN_COLUMNS, document_of


def fingerprint_of(request: str) -> bytes:
    """Of the row of what was stopped of ``request``."""
    return hashlib.blake2b(f"partial {request}".encode(), digest_size=16).digest()


def partial_row(row: Sequence[Any], result: Result) -> tuple[Any, ...]:
    """``row`` of ``result``, under the fingerprint of its request if it is partial."""
    if result.partial is None or result.partial.cells is None:
        return tuple(row)
    return (fingerprint_of(result.partial.cells.request), *row[1:])


def take_place(
    database: sqlite3.Connection, row: Sequence[Any], result: Result, goes_on: str
) -> int | None:
    """Put ``row`` where less of the same is; the row's number, None where there is nothing.

    ``goes_on``: the request that a whole result has completed. Less never takes the place of more.
    """
    request = result.partial.cells.request if result.partial and result.partial.cells else goes_on
    if not request:
        return None
    found = database.execute(
        "SELECT id, document FROM runs WHERE fingerprint = ?", (fingerprint_of(request),)
    ).fetchone()
    if found is None:
        return None
    number, document = found
    if result.partial is not None and _done(document) >= result.partial.done:
        database.execute("UPDATE runs SET made_at = ? WHERE id = ?", (row[1], number))
        return int(number)
    database.execute("DELETE FROM runs WHERE fingerprint = ? AND id != ?", (row[0], number))
    columns = ", ".join(f"{name.strip()} = ?" for name in WRITTEN_COLUMNS.split(","))
    database.execute(f"UPDATE runs SET {columns} WHERE id = ?", (*row, number))
    return int(number)


def _done(blob: Any) -> int:
    try:
        partial = document_of(blob).results[0].partial
    except StoreProblem:  # damaged: anything is better
        return -1
    return partial.done if partial is not None else -1
