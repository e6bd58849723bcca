"""The JSON of a session read back into its page: one report from the file as from the store."""

from __future__ import annotations

from pathlib import Path

import msgspec

from interpboard.errors import BadResultFile
from interpboard.results import Document
from interpboard.results.encoding import read_file
from interpboard.visualization.session_page import (
    PageNote,
    PageResult,
    PageSection,
    SessionPage,
    when,
)
from interpboard.visualization.session_text import SESSION_SCHEMA

_ANY_VERSION = SESSION_SCHEMA.rpartition("/")[0] + "/"


class _Schema(msgspec.Struct):
    schema: str = ""


class _Note(msgspec.Struct):
    text: str
    about: str = ""


class _Result(msgspec.Struct):
    document: msgspec.Raw
    python: str
    command: str
    notes: tuple[_Note, ...] = ()


class _Section(msgspec.Struct):
    results: tuple[_Result, ...]
    notes: tuple[_Note, ...] = ()


class _Session(msgspec.Struct):
    title: str
    begun_at: float
    used_at: float
    sections: tuple[_Section, ...]
    notes: tuple[_Note, ...] = ()
    missing: tuple[str, ...] = ()


def session_in(path: Path) -> SessionPage | None:
    """The page of the session that was written to ``path`` as JSON; None where the file holds no session.

    Raises ``BadResultFile``, with the name of the file, for one that is damaged or of a later version.
    """
    text = read_file(path)
    try:
        schema = msgspec.json.decode(text, type=_Schema).schema
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None  # whoever reads it as results says what is wrong with it
    if not schema.startswith(_ANY_VERSION):
        return None
    try:
        return _page(text, schema)
    except BadResultFile as error:
        raise error.about(path) from error


def _page(text: bytes, schema: str) -> SessionPage:
    if schema != SESSION_SCHEMA:
        raise BadResultFile(
            f"The session has schema {schema!r}, this program reads {SESSION_SCHEMA!r}.",
            "Upgrade interpboard.",
        )
    try:
        read = msgspec.json.decode(text, type=_Session)
        when(read.begun_at), when(read.used_at)  # is either a time at all?
    except (msgspec.MsgspecError, ValueError, OverflowError, OSError, RecursionError) as error:
        raise BadResultFile(
            f"This is not a session of interpboard: {error}.", "Was the file cut short?"
        ) from error
    return SessionPage(
        read.title, read.begun_at, read.used_at, _notes(read.notes),
        tuple(_section(each) for each in read.sections if each.results), read.missing,
    )  # fmt: skip


def _section(read: _Section) -> PageSection:
    documents = [Document.from_json(bytes(each.document)) for each in read.results]
    first = documents[0]
    results = []
    for each, document in zip(read.results, documents, strict=True):
        of_one = (document.model, document.prompt) == (first.model, first.prompt)
        if not of_one or len(document.results) != 1:
            raise BadResultFile(
                "The results under one prompt of this session are of several, or none.",
                "Was the file changed by hand?",
            )
        results.append(
            PageResult(document.results[0], _notes(each.notes), each.python, each.command)
        )
    return PageSection(first.model, first.prompt, _notes(read.notes), tuple(results))


def _notes(read: tuple[_Note, ...]) -> tuple[PageNote, ...]:
    return tuple(PageNote(each.text, each.about) for each in read)
