"""What a row of the store is: its columns by version, and a document as bytes of bounded size.

Version 2 added ``weights``, the fingerprint of the model's, so that runs of two models by one name are told
apart. A file of version 1 gets the column when it is opened; what it says of its runs' weights is nothing.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from interpboard.display import spoken_bytes
from interpboard.errors import StoreProblem
from interpboard.results import Document, Result, pack, unpack

VERSION = 2
LARGEST = 1 << 29  # bytes of a document once decompressed
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, fingerprint BLOB UNIQUE NOT NULL, made_at REAL NOT NULL,
    model TEXT NOT NULL, prompt TEXT NOT NULL, analysis TEXT NOT NULL, metric TEXT NOT NULL,
    target TEXT NOT NULL, foil TEXT NOT NULL, params TEXT NOT NULL, elapsed_s REAL NOT NULL,
    slot TEXT NOT NULL, ask TEXT NOT NULL, document BLOB NOT NULL,
    weights TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS newest ON runs (made_at DESC, id DESC);
"""
# What is not a result and comes back with them. Files that older programs wrote have no such table.
REMEMBERED_TABLE = "CREATE TABLE IF NOT EXISTS desk (name TEXT PRIMARY KEY, value TEXT NOT NULL)"
_MIGRATIONS = {1: "ALTER TABLE runs ADD COLUMN weights TEXT NOT NULL DEFAULT ''"}
LISTED = "id, made_at, model, prompt, analysis, metric, target, foil, elapsed_s, slot, weights, params, ask"
_KINDS = (int, float, str, str, str, str, str, str, float, str, str, str, str)
WRITTEN_COLUMNS = (
    "fingerprint, made_at, model, prompt, analysis, metric, target, foil, params, elapsed_s, slot, "
    "ask, document, weights"
)


@dataclass(frozen=True)
class SavedRun:
    """A line of the list. ``slot`` is where the app shows it, ``ask`` what had been asked.

    ``weights``: the fingerprint of the model's weights, empty where it was not kept.
    """

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
    weights: str
    params: dict[str, Any]
    ask: dict[str, Any]


def prepare(database: sqlite3.Connection, place: object) -> None:
    """Make the tables of a new file, bring an older one to this version. Raises ``StoreProblem``."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise StoreProblem(
            f"{place} was written by a newer interpboard.", "Upgrade, or move it away."
        )
    if version == VERSION:
        return
    database.execute("BEGIN IMMEDIATE")  # another app may be at it
    with database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in _SCHEMA.split(";"):
                database.execute(statement)
        else:
            for earlier in range(version, VERSION):
                database.execute(_MIGRATIONS[earlier])
        database.execute(f"PRAGMA user_version = {VERSION}")


def row_of(
    document: Document, slot: str, ask: Mapping[str, Any], made_at: float
) -> tuple[Any, ...]:
    """The ``WRITTEN_COLUMNS`` of the one result of ``document``. Raises ``StoreProblem`` if too large."""
    (result,) = document.results
    same = msgspec.structs.replace(result, elapsed_s=0.0)
    whole = msgspec.structs.replace(document, results=(same,))
    metric = result.metric
    raw = pack(document)
    if len(raw) > LARGEST:
        raise StoreProblem(
            f"A result of {spoken_bytes(len(raw))} is too large for the store.",
            "Export it instead.",
        )
    return (
        hashlib.blake2b(pack(whole), digest_size=16).digest(), made_at, document.model.name,
        document.prompt.text, result.analysis, metric.name,
        metric.target.token if metric.target else "", metric.against.token if metric.against else "",
        json.dumps(_listed_params(result), default=str), result.elapsed_s, slot, json.dumps(dict(ask)),
        zlib.compress(raw, 1), document.model.weights,
    )  # fmt: skip


def _listed_params(result: Result) -> dict[str, Any]:
    """The parameters, with how much of it there is where it was stopped: the list of runs shows these."""
    extent = {"partial": str(result.partial)} if result.partial is not None else {}
    return extent | result.params


def saved_run_of(row: Sequence[Any]) -> SavedRun:
    """The columns ``LISTED``. Raises ``sqlite3.DatabaseError`` for a row that holds something else."""
    if not all(isinstance(value, kind) for value, kind in zip(row, _KINDS, strict=True)):
        raise sqlite3.DatabaseError("malformed row")
    return SavedRun(*(*row[:-2], _table(row[-2]), _table(row[-1])))


def document_of(blob: Any) -> Document:
    """The document of a row. Raises ``StoreProblem`` for damaged bytes, and for what would grow too large."""
    try:
        stream = zlib.decompressobj()
        raw = stream.decompress(blob, LARGEST + 1)
        if len(raw) > LARGEST:
            raise StoreProblem(
                f"That run is not read: its {len(blob)} bytes would become more than "
                f"{spoken_bytes(LARGEST)}."
            )
        if not stream.eof:
            raise ValueError("cut short")
        document: Document = unpack(raw, Document)
    except (zlib.error, msgspec.MsgspecError, ArithmeticError, LookupError, ValueError, TypeError,
            AttributeError, RecursionError, MemoryError) as error:  # fmt: skip
        raise StoreProblem("That run cannot be read: its bytes are damaged.") from error
    return document


def _table(text: str) -> dict[str, Any]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}
