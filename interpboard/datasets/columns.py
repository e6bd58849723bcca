"""Which column of a file is which of ours: ``text=prompt,target= {capital}``.

A name alone takes a column under its other name. What holds slots, ``The capital of {country} is``, is filled
from the columns of each row: a template.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interpboard.datasets.rows import NAMED_COLUMNS, SCALARS, UnusableRow, is_nothing
from interpboard.errors import BadParameter

NO_COLUMN = "has no column"
_PROMPTS = {"text", "clean", "messages"}
_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")  # a brace, or a slot
_ASSIGNED = re.compile(rf"(?:^|,)\s*({'|'.join((*NAMED_COLUMNS, 'clean'))})=")


@dataclass(frozen=True)
class Columns:
    """``taken``: of each of our columns, the file's name of it, or a text with slots."""

    taken: tuple[tuple[str, str], ...] = ()

    def named(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """``record`` under our names. Raises ``UnusableRow`` where one that is named is not there."""
        if not self.taken:
            return dict(record)
        used = {source for _, source in self.taken}
        named = {ours for ours, _ in self.taken}
        if (
            named & _PROMPTS
        ):  # the user says which is the prompt: another that the file has is not meant
            used |= _PROMPTS
        found = {name: value for name, value in record.items() if name not in used}
        for ours, source in self.taken:
            if _PIECE.search(source):
                found[ours] = filled(source, record)
            elif source in record:
                found[ours] = record[source]
            else:  # a name mistyped, or a row that is not like the others: never left out without a word
                raise UnusableRow(f"{NO_COLUMN} {source}")
        return found

    def missing(self, columns: Iterable[str]) -> list[str]:
        """The names that are asked for and are not among ``columns``."""
        there = set(columns)
        asked = [
            name
            for _, source in self.taken
            for name in (slots_of(source) if _PIECE.search(source) else [source])
        ]
        return [name for name in dict.fromkeys(asked) if name not in there]


ANY_COLUMNS = Columns()
"""Columns by our own names."""


def read_columns(text: str | None) -> Columns:
    """``text=prompt,target=answer`` as columns. Raises ``BadParameter``.

    A comma ends an assignment only where one of our names and ``=`` follow: templates may hold commas.
    """
    if not text:
        return ANY_COLUMNS
    starts = list(_ASSIGNED.finditer(text))
    if not starts or starts[0].start() != 0:
        raise BadParameter(
            f"--columns {text[:60]!r} names none of our columns first.",
            f"Write text=COLUMN,target=COLUMN; ours are {', '.join(NAMED_COLUMNS)}.",
        )
    ends = [*(start.start() for start in starts[1:]), len(text)]
    return columns_of(
        [(own[1], text[own.end() : end]) for own, end in zip(starts, ends, strict=True)]
    )


def path_and_columns(text: str) -> tuple[str, Columns]:
    """``rows.csv text=prompt,target=answer`` as a path, which may have spaces, and which column is which."""
    for at, char in enumerate(text):
        if char == " " and "=" in text[at:]:
            try:
                return text[:at].strip(), read_columns(text[at + 1 :])
            except BadParameter:
                continue
    return text.strip(), ANY_COLUMNS


def columns_of(pairs: Sequence[tuple[str, str]]) -> Columns:
    """Columns from pairs of our name and the file's. Raises ``BadParameter``."""
    names = [ours for ours, _ in pairs]
    for ours, source in pairs:
        if ours not in (*NAMED_COLUMNS, "clean"):
            raise BadParameter(
                f"There is no column {ours!r}.", f"Ours are {', '.join(NAMED_COLUMNS)}."
            )
        if not source:
            raise BadParameter(f"The column {ours} is taken from nothing.", f"Write {ours}=COLUMN.")
    if again := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise BadParameter(f"The column {again[0]} is given twice.", "Give each once.")
    return Columns(tuple(pairs))


def filled(template: str, record: Mapping[str, Any]) -> str:
    """``template`` with each ``{name}`` from ``record``. Raises ``UnusableRow``.

    Doubled braces are braces.
    """

    def piece(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0][0]
        if is_nothing(record.get(name)):
            raise UnusableRow(f"has nothing for {{{name}}}")
        if not isinstance(record[name], SCALARS):
            raise UnusableRow(f"has for {{{name}}} neither a text nor a number")
        return str(record[name])

    return _PIECE.sub(piece, template)


def slots_of(template: str) -> tuple[str, ...]:
    """The names of a template's slots, each once."""
    found = (piece[1] for piece in _PIECE.finditer(template))
    return tuple(dict.fromkeys(name for name in found if name is not None))
