"""The lines of a dataset: one grammar for circuits, pairs of prompts and the app's table of prompts.

A line is one example::

    The capital of France is => The capital of Italy is | Paris | Rome

clean prompt, corrupted partner, target, foil; all but the first may be left out. Several targets or foils
stand with slashes between them. They are taken with a space in front, as words in a text have it; in quotes,
``'62'``, as they stand; ``#161`` is a token by its id. Answers may also stand behind arrows,
``clean => corrupted =>  Paris =>  Rome``, each one text, as it is but for one space beside each arrow.

A prompt that holds ``=>`` or `` | `` has them with a backslash, ``\\=>`` and `` \\| ``. A line may also be
JSON, in which every text stands as it is::

    {"clean": "2 => 3, 4 =>", "corrupted": "2 => 3, 5 =>", "target": [" 5"], "foil": " 6"}

Blank lines and comments, which begin with ``# ``, are passed by; a prompt that begins so has ``\\#`` for it.
A line that cannot be used is read with its ``problem``: a reader refuses it, or shows it as a row.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.files.json_names import json_marked, name_twice

FIELDS = ("clean", "corrupted", "target", "foil", "subject")
LARGEST_DATASET = 20_000_000  # bytes

_ARROW = re.compile(r"(?<!\\)=>")
_BAR = " | "
_COMMENT = re.compile(r"#(?:\s|$)")
_BEGINS_JSON = re.compile(rf'\s*\{{\s*"(?:{"|".join(FIELDS)})"\s*:')
_BY_ID = re.compile(r"#[0-9]+", re.ASCII)
_MARKS_16 = (BOM_UTF16_LE, BOM_UTF16_BE)
_MARKS_32 = (BOM_UTF32_LE, BOM_UTF32_BE)
_OF_COLUMNS = {"text", "messages"}
_RENAME = 'Name the file .jsonl; a prompt that is itself JSON is {"clean": "..."}.'
_SHOWN = 60  # characters of a line in a message
_REMEDY = "Write: clean => corrupted | target | foil. In a prompt, \\=> and \\| are themselves."

Words = tuple[str, ...]

_HAS_RETURN = "has a carriage return inside, and lines end with line feeds"
_OTHER_ENDS = (
    "Write line feeds; a prompt that has a carriage return of its own goes into a .jsonl file."
)


@dataclass(frozen=True)
class DatasetLine:
    """What line ``number`` of ``source`` says; ``problem`` is why it cannot be used, in one line, or empty.

    ``clean`` and ``corrupted`` stand without spaces around them, ``written`` is both with those that the
    line has beyond one beside a separator. Of JSON they are the same. ``target``, ``foil``: one token each
    or several, None where none is named. ``separated``: more than one prompt alone stands in the line.
    """

    text: str
    number: int = 1
    source: str = ""
    clean: str = ""
    corrupted: str | None = None
    target: Words | None = None
    foil: Words | None = None
    subject: str | None = None
    written: Words = ()
    separated: bool = False
    problem: str = ""
    remedy: str = _REMEDY

    def refusal(self, problem: str, remedy: str = _REMEDY) -> BadParameter:
        """The error of this line: its file, its number and what is wrong with it."""
        of = f" of {self.source}" if self.source else ""
        quoted = repr(visible(self.text[:_SHOWN]) + ("…" if len(self.text) > _SHOWN else ""))
        return BadParameter(f"Line {self.number}{of}, {quoted}, {problem}.", remedy)

    def usable(self) -> DatasetLine:
        """This line; raises ``BadParameter`` where it has a ``problem``."""
        if self.problem:
            raise self.refusal(self.problem, self.remedy)
        return self


def dataset_text(path: Path) -> str:
    """The text of the file ``path``. Raises ``BadParameter`` where it cannot be read or has no end."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_DATASET + 1)  # a device may have no end
    except (OSError, ValueError) as error:  # a name with a NUL
        problem = f"Cannot read {path}: {getattr(error, 'strerror', None) or error}."
        raise BadParameter(problem, "Check it.") from error
    if len(raw) > LARGEST_DATASET:
        raise BadParameter(f"{path} has more than {LARGEST_DATASET // 10**6} MB.", "Split it.")
    refuse_wide_text(path, raw)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadParameter(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from None


def refuse_wide_text(path: Path, begin: bytes) -> None:
    """Raise ``BadParameter`` where a file that begins with ``begin`` is UTF-16 or UTF-32, by its mark or by
    the zeros beside its first letters: read as UTF-8 each would be followed by a NUL."""
    width = "UTF-32" if begin[:4] in _MARKS_32 or begin[:4].count(0) > 2 else "UTF-16"
    if begin[:4] in _MARKS_32 or begin[:2] in _MARKS_16:
        raise BadParameter(f"{path} is {width} text.", "Save it as UTF-8.")
    if b"\0" in begin[:4]:
        raise BadParameter(
            f"{path} begins with letters and NULs, as {width} text does.", "Save it as UTF-8."
        )


def refuse_line_ends(source: str | Path, first: str) -> None:
    """Raise ``BadParameter`` where ``first``, a file's first line, is all of it and holds carriage returns:
    ends of lines of another kind, by which all lines would be one prompt."""
    if "\r" in first[:-1] and not first.endswith("\n"):
        raise BadParameter(
            f"{source} ends its lines with carriage returns alone.", "Save it with line feeds."
        )


def dataset_lines(text: str | Iterable[str], source: str = "") -> list[DatasetLine]:
    """Every line of ``text``, or of lines given one by one, that is no comment and not blank.

    ``source`` is what errors call it. Only a line feed ends a line: U+2028, say, is a part of one. Raises
    ``BadParameter`` for a file whose lines end otherwise.
    """
    if isinstance(text, str):
        if source:
            refuse_line_ends(source, text[: text.find("\n") + 1] or text)
        text = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    found = (read_line(line, number, source) for number, line in enumerate(text, 1))
    return [line for line in found if line is not None]


def read_line(text: str, number: int = 1, source: str = "") -> DatasetLine | None:
    """What one line says, with its ``problem`` where it says nothing usable; None for a comment or none."""
    if not text.strip():
        return None
    if "\r" in text.rstrip():  # many prompts as one, or as a comment
        return DatasetLine(text, number, source, problem=_HAS_RETURN, remedy=_OTHER_ENDS)
    if _COMMENT.match(text):
        return None
    try:
        fields = _of_json(text)
        fields = _of_text(text) if fields is None else fields
    except _NoExample as error:
        return DatasetLine(text, number, source, problem=str(error), remedy=error.remedy)
    return DatasetLine(text, number, source, **fields)


class _NoExample(Exception):
    def __init__(self, problem: str, remedy: str = _REMEDY) -> None:
        super().__init__(problem)
        self.remedy = remedy


def named_fields(given: Mapping[Any, Any]) -> dict[str, Any]:
    """The fields of an example given by name, JSON's or Python's. Raises ``BadParameter``."""
    try:
        return _named(given)
    except _NoExample as error:
        raise BadParameter(f"An example {error}.", error.remedy) from None


def _of_json(line: str) -> dict[str, Any] | None:
    try:
        found = json_marked(line) if line.lstrip().startswith("{") else None
    except (ValueError, RecursionError) as error:
        if not _BEGINS_JSON.match(line):
            return None
        reason = str(error).split("\n")[0]
        raise _NoExample(f"is no JSON: {reason}", "Mend it, or write it as text.") from None
    if not isinstance(found, dict):
        return None
    if not set(FIELDS) & set(found):
        if _OF_COLUMNS & set(found):
            raise _NoExample("is JSON of columns, not of a line", _RENAME)
        return None
    if (twice := name_twice(found)) is not None:
        raise _NoExample(f"has {twice!r} twice", "Leave one.")
    return _named(found)


def _named(given: Mapping[Any, Any]) -> dict[str, Any]:
    unknown = [name for name in given if name not in FIELDS]
    if unknown:
        named = visible(str(unknown[0])[:_SHOWN])
        raise _NoExample(f"has the field {named!r}", f"The fields are {', '.join(FIELDS)}.")
    if not isinstance(given.get("clean"), str):
        raise _NoExample("has no text as its clean prompt", "Give clean, a text.")
    for name in ("corrupted", "subject"):
        if not isinstance(given.get(name), str | None):
            raise _NoExample(f"has {name} that is no text", "Give a text, or leave it out.")
    target, foil = (_words(name, given.get(name)) for name in ("target", "foil"))
    prompts = (given["clean"], given.get("corrupted"))
    return {
        "clean": prompts[0],
        "corrupted": prompts[1],
        "target": target,
        "foil": foil,
        "subject": given.get("subject"),
        "written": tuple(prompt for prompt in prompts if prompt is not None),
        "separated": True,
    }


def _words(name: str, given: Any) -> Words | None:
    if given is None:
        return None
    whole = isinstance(given, str) or not isinstance(given, Sequence)
    words: tuple[Any, ...] = (given,) if whole else tuple(given)
    if not words or not all(isinstance(word, str) for word in words):
        raise _NoExample(
            f"has a {name} that is neither a text nor a list of texts", "Leave it out instead."
        )
    return words


def _of_text(line: str) -> dict[str, Any]:
    line = line.removeprefix("\\") if line.startswith("\\#") else line  # no comment: a prompt
    before, *behind_bars = line.split(_BAR)
    raw = _ARROW.split(before)
    last = len(raw) - 1
    parts = [
        _unescaped(part.removeprefix(" " if i else "").removesuffix(" " if i < last else ""))
        for i, part in enumerate(raw)
    ]
    behind_arrows = parts[2:]
    if behind_arrows and behind_bars:
        raise _NoExample("has answers behind arrows and behind bars")
    if len(behind_arrows) > 2 or len(behind_bars) > 2:
        raise _NoExample("has more than a target and a foil")
    if not raw[0].strip():
        raise _NoExample("has no prompt in front")
    if len(raw) > 1 and not raw[1].strip() and not behind_bars:
        raise _NoExample("has nothing behind its arrow")
    if "" in behind_arrows:
        raise _NoExample("has an empty answer")
    answers: list[Words | None] = [(word,) for word in behind_arrows]
    answers += [tuple(map(_answer, part.split("/"))) for part in behind_bars]
    target, foil = (*answers, None, None)[:2]
    stripped = [_unescaped(part.strip()) for part in raw]
    partner = len(raw) > 1 and bool(raw[1].strip())
    return {
        "clean": stripped[0],
        "corrupted": stripped[1] if partner else None,
        "target": target,
        "foil": foil,
        "written": tuple(parts[: 1 + partner]),
        "separated": len(raw) > 1 or bool(behind_bars),
    }


def _answer(text: str) -> str:
    """An answer between bars: behind a space, in quotes as it stands, or ``#161`` by its id."""
    word = _unescaped(text.strip())
    if not word:
        raise _NoExample("has an empty answer")
    if _BY_ID.fullmatch(word):
        return word
    quoted = len(word) > 2 and word[0] == word[-1] and word[0] in "'\""
    return word[1:-1] if quoted else " " + word


def _unescaped(text: str) -> str:
    """``text`` with the arrows and bars that belong to it."""
    return f" {text} ".replace("\\=>", "=>").replace(" \\| ", " | ")[1:-1]
