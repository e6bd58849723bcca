"""A row of a dataset: one prompt, and what its columns say of it.

Every format gives rows of the same kind. What a row's columns mean is in their names: ``text`` (or ``clean``)
or ``messages``, ``target``, ``foil``, ``corrupted``, ``subject``, ``label``, ``position``; any others are
kept beside it. A row that cannot be used has its ``problem``, in one line: it is counted, and stops nobody.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from typing import Any

from interpboard.datasets.dataset_lines import DatasetLine
from interpboard.datasets.written_values import written_value
from interpboard.display import visible
from interpboard.files.json_names import json_marked, name_twice

KNOWN_COLUMNS = (
    "text", "messages", "target", "foil", "corrupted", "subject", "label", "position",
)  # fmt: skip
NAMED_COLUMNS = (*KNOWN_COLUMNS, "choices")
"""Those that a file may have under other names. ``choices`` is kept beside the others: ``choices_of``."""
SCALARS = (str, int, float, bool, Decimal, date, time)
"""What is written as one text; bytes, lists and objects are not."""
HAS_NUL = "has a NUL, as UTF-16 text has that is read as UTF-8"
_MISSED_SILENTLY = ("target", "foil", "corrupted", "position")
_TEXTS = ("corrupted", "subject")
_SHOWN = 60
_INT_64 = 1 << 63


@dataclass(frozen=True)
class DatasetRow:
    """Row ``number`` of a dataset, from 0 over all its files; ``place`` is where it stands, file and line.

    ``text``, or the ``messages`` of a chat, each role and content; ``target`` and ``foil``: a token as text
    or as ``#161``; None: not named. ``other``: the further columns, texts and numbers. ``problem``: why it
    cannot be used, empty where it can.
    """

    number: int
    place: str
    text: str = ""
    messages: tuple[tuple[str, str], ...] | None = None
    target: str | None = None
    foil: str | None = None
    corrupted: str | None = None
    subject: str | None = None
    label: str | None = None
    position: int | None = None
    other: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    problem: str = ""

    def column(self, name: str) -> str | None:
        """What the row has in a column, as text; None: nothing."""
        found = getattr(self, name) if name in KNOWN_COLUMNS else self.other.get(name)
        return found if found is None or isinstance(found, str) else written_value(found)

    @property
    def kept(self) -> dict[str, str | int | float | bool]:
        """The columns that are kept beside results, to group by and to choose rows: those of its own, and of
        ours those that results do not say themselves."""
        ours = {"label": self.label, "subject": self.subject}
        named = {name: value for name, value in ours.items() if value is not None}
        return dict(self.other) | named


class UnusableRow(Exception):
    """Why a row cannot be used, in a few words that follow "it"."""


def row_of_record(record: Mapping[str, Any], number: int, place: str) -> DatasetRow:
    """The row that a record of columns is: of CSV, JSON, Parquet or a template."""
    try:
        return DatasetRow(number, place, **_fields(record))
    except UnusableRow as error:
        return DatasetRow(number, place, problem=str(error), **_beside(record))


def row_of_line(line: DatasetLine, number: int, place: str) -> DatasetRow:
    """The row that a line of text is, in the grammar of ``dataset_lines``."""
    if line.problem:
        return DatasetRow(number, place, problem=line.problem)
    try:
        return DatasetRow(
            number,
            place,
            text=line.clean,
            corrupted=line.corrupted,
            target=_one("target", line.target),
            foil=_one("foil", line.foil),
            subject=line.subject,
        )
    except UnusableRow as error:
        return DatasetRow(number, place, problem=str(error))


def choices_of(row: DatasetRow) -> str | None:
    """The texts that are compared, one a line; None: the row has none. Raises ``UnusableRow``.

    They may be a list of texts, have their labels beside them (``{"label": [...], "text": [...]}``, as data
    of multiple choice come), be either as JSON in a CSV file, or a text with one a line.
    """
    given = row.other.get("choices")
    if given is None:
        return None
    found: Any = given
    if isinstance(given, str) and given.lstrip()[:1] in ("[", "{"):
        try:
            found = json_marked(given)
        except (ValueError, RecursionError):
            raise UnusableRow("has choices that are no JSON") from None
        refuse_names_twice(found)
        found = found.get("text") if isinstance(found, dict) else found
    if isinstance(found, str):
        return found
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise UnusableRow("has choices that are no list of texts")
    if any(len(text.splitlines()) != 1 or not text.strip() for text in found):
        raise UnusableRow("has a choice that is not one line of text")
    return "\n".join(found)


def refuse_names_twice(found: Any) -> None:
    """Raise ``UnusableRow`` where an object of ``json_marked`` has a name twice: which is meant?"""
    if (twice := name_twice(found)) is not None:
        raise UnusableRow(f"has {twice!r} twice in one object")


def _fields(record: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in record.items() if not is_nothing(value)}
    if "clean" in given:
        if "text" in given:
            raise UnusableRow("has both text and clean")
        given["text"] = given.pop("clean")
    text, messages = given.pop("text", None), given.pop("messages", None)
    if (text is None) == (messages is None):
        raise UnusableRow("has both a text and messages" if text is not None else "has no text")
    fields: dict[str, Any] = {}
    if text is not None:
        fields["text"] = _of_prompt("text", text)
    else:
        fields["messages"] = _messages(messages)
    for name in ("target", "foil"):
        fields[name] = _one(name, given.pop(name, None))
    for name in _TEXTS:
        value = given.pop(name, None)
        fields[name] = None if value is None else _of_prompt(name, value)
    label = given.pop("label", None)
    fields["label"] = None if label is None else _plain("label", label)
    fields["position"] = _position(given.pop("position", None))
    _refuse_nearly_ours(given, record)
    fields["other"] = {_named(name): _kept(name, value) for name, value in given.items()}
    return fields


def _refuse_nearly_ours(given: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Raise ``UnusableRow`` for a ``Target`` where there is no ``target``: the row would be asked for
    something else, and nothing would say so."""
    for name, value in given.items():
        meant = str(name).strip().lower()
        if meant == "position" and not _may_be_position(value):
            continue  # of a word, say
        if meant in _MISSED_SILENTLY and meant not in record:
            shown = visible(str(name))
            raise UnusableRow(
                f"has a column {shown}, and ours is {meant}: write --columns {meant}={shown}, or rename it"
            )


def _beside(record: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a row that cannot be used: its label and further columns, those that can be kept."""
    other: dict[str, Any] = {}
    for name, value in record.items():
        with suppress(UnusableRow):
            if name == "label" and not is_nothing(value):
                other[name] = _plain(name, value)
            elif name not in (*KNOWN_COLUMNS, "clean") and not is_nothing(value):
                other[_named(name)] = _kept(name, value)
    return {"label": other.pop("label", None), "other": other}


def is_nothing(value: Any) -> bool:
    """Has a row no value here? An empty text and NaN, as tables write what is missing, are none."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UnusableRow(f"has {name} that is no text")
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise UnusableRow(f"has {name} that is not UTF-8")
    return value


def _of_prompt(name: str, value: Any) -> str:
    """A text that a model is to read."""
    if "\0" in _text(name, value):
        raise UnusableRow(HAS_NUL)
    return str(value)


def _one(name: str, value: Any) -> str | None:
    """The one token that a row names: a metric explains one."""
    if value is None or isinstance(value, str):
        return None if value is None else _of_prompt(name, value)
    words = list(value) if isinstance(value, list | tuple) else [None]
    if not all(isinstance(word, str) for word in words):
        raise UnusableRow(f"has a {name} that is no text")
    if len(words) != 1:
        raise UnusableRow(f"has {len(words)} texts as its {name}, and a metric takes one")
    return _of_prompt(name, words[0])


def _plain(name: str, value: Any) -> str:
    if not isinstance(value, SCALARS):
        raise UnusableRow(f"has a {name} that is neither a text nor a number")
    return _text(name, written_value(value))


def _position(value: Any) -> int | None:
    if value is None:
        return None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    whole = number is not None and (isinstance(value, str) or value == number)
    if not whole or isinstance(value, bool) or abs(number or 0) >= _INT_64:
        raise UnusableRow(
            f"has the position {visible(str(value)[:_SHOWN])}, which is no whole number"
        )
    return number


def _may_be_position(value: Any) -> bool:
    try:
        return _position(value) is not None
    except UnusableRow:
        return False


def _messages(value: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(value, str):  # a column of a CSV file
        try:
            value = json_marked(value)
        except (ValueError, RecursionError):
            raise UnusableRow("has messages that are no JSON") from None
        refuse_names_twice(value)
    found = []
    for message in value if isinstance(value, list | tuple) else [None]:
        parts = (
            [message.get(key) for key in ("role", "content")] if isinstance(message, dict) else []
        )
        if len(parts) != 2 or not all(isinstance(part, str) for part in parts):
            raise UnusableRow("has messages that are no list of {role, content}")
        found.append((_of_prompt("a role", parts[0]), _of_prompt("a message", parts[1])))
    if not found:
        raise UnusableRow("has no messages")
    return tuple(found)


def _named(name: object) -> str:
    return _text("a column's name", str(name))


def _kept(name: object, value: Any) -> str | int | float | bool:
    """A column that is only kept: numbers and texts as they are, lists and objects as JSON, else as text; so
    are whole numbers beyond 64 bits, which no table has."""
    if isinstance(value, float) or (isinstance(value, int) and -_INT_64 <= value < _INT_64):
        return value
    whole = isinstance(value, list | tuple | dict)
    text = json.dumps(value, ensure_ascii=False, default=_written) if whole else _written(value)
    return _text(visible(str(name)[:_SHOWN]), text)


def _written(value: Any) -> str:
    """A value of Parquet or TOML as text: a date as 2020-01-02, a decimal with its digits, bytes in hex."""
    return value.hex() if isinstance(value, bytes) else str(value)
