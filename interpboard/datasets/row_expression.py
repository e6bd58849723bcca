"""Which rows are meant: ``label == "x" and (metric > 0.5 or not right=true)``. A grammar of its own.

    expression  = all { "or" all }
    all         = one { "and" one }
    one         = "not" one | "(" expression ")" | column sign value
    sign        = "=" | "==" | "!=" | "<" | "<=" | ">" | ">="

A value stands in quotes, or bare up to the next ``and``, ``or`` or closing bracket. Nothing is evaluated but
this: whatever else is written is refused, with the place and what was expected there.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from interpboard.datasets.written_values import is_same, number_of
from interpboard.display import visible
from interpboard.errors import BadParameter

ColumnOf = Callable[[str], Any]
"""What a row has in a column; None: nothing."""
RowFits = Callable[[ColumnOf], bool]

LONGEST_EXPRESSION = 2000  # characters
_DEEPEST = 50  # brackets and nots inside each other
_SIGN = re.compile(r"\s*(==|!=|<=|>=|=|<|>)\s*")
_COLUMN = re.compile(r"\s*([\w .-]*[\w.-])")
_WORD = re.compile(r"\s*(and|or|not)(?=[\s(]|$)")
_JOINING = re.compile(r"(?:^|\s)(?:and|or|not)(?:\s|$)")
_BARE_END = re.compile(r"\s+(?:and|or)(?=[\s(]|$)")
_QUOTES = ("'", '"')
_ORDER = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True)
class RowExpression:
    """``columns`` are those it names; ``fits`` asks a row for them."""

    columns: tuple[str, ...]
    fits: RowFits

    def check(self, there: Iterable[str]) -> None:
        """Raise ``BadParameter`` where it names a column that no row has: it would leave out everything."""
        known = tuple(dict.fromkeys(there))
        for name in self.columns:
            if name not in known:
                raise BadParameter(
                    f"No row has a column {visible(name)[:40]!r}.",
                    f"There are: {', '.join(map(visible, known))[:300]}.",
                )


def row_expression(text: str) -> RowExpression:
    """The rows that fit ``text``; without any text all of them. Raises ``BadParameter``.

    A row without a column fits only ``!=``. ``<`` and ``>`` compare numbers, ``=`` texts, and numbers where
    both are: ``score=0.5`` fits ``0.50``, ``score="0.5"`` the text alone. No digit of a number is lost.
    """
    if not text.strip():
        return RowExpression((), lambda _column: True)
    if len(text) > LONGEST_EXPRESSION:
        raise BadParameter(f"A filter has at most {LONGEST_EXPRESSION:,} characters.")
    reader = _Reader(text)
    fits = reader.expression(0)
    if reader.rest():
        raise reader.wrong("and or or")
    return RowExpression(tuple(dict.fromkeys(reader.columns)), fits)


class _Reader:
    """Goes through ``text`` from its begin; ``at`` is how far it is."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.columns: list[str] = []

    def rest(self) -> str:
        return self.text[self.at :].strip()

    def wrong(self, expected: str) -> BadParameter:
        found = self.rest()
        where = f"{visible(found)[:40]!r}" if found else "the end"
        return BadParameter(
            f"The filter has {where} where {expected} is expected.",
            'Write for example: label == "A" and metric > 0.5.',
        )

    def word(self, *wanted: str) -> bool:
        found = _WORD.match(self.text, self.at)
        if found is None or found[1] not in wanted:
            return False
        self.at = found.end()
        return True

    def sign_of(self, char: str) -> bool:
        found = re.compile(rf"\s*{re.escape(char)}").match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return found is not None

    def expression(self, depth: int) -> RowFits:
        parts = [self.all(depth)]
        while self.word("or"):
            parts.append(self.all(depth))
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def all(self, depth: int) -> RowFits:
        parts = [self.one(depth)]
        while self.word("and"):
            parts.append(self.one(depth))
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def one(self, depth: int) -> RowFits:
        if depth > _DEEPEST:
            raise BadParameter("The filter has too many brackets inside each other.")
        if self.word("not"):
            inner = self.one(depth + 1)
            return lambda row: not inner(row)
        if self.sign_of("("):
            inner = self.expression(depth + 1)
            if not self.sign_of(")"):
                raise self.wrong("a closing bracket")
            return inner
        return self.comparison()

    def comparison(self) -> RowFits:
        column = _COLUMN.match(self.text, self.at)
        if column is None:
            raise self.wrong("a column")
        name = column[1].strip()
        if _JOINING.search(name):
            raise self.wrong("a column and its value")
        self.at = column.end()
        found = _SIGN.match(self.text, self.at)
        if found is None:
            raise self.wrong(f"a sign (=, !=, <, >) behind {visible(name)[:40]}")
        self.at = found.end()
        self.columns.append(name)
        in_quotes, sign = self.text[self.at : self.at + 1] in _QUOTES, found[1]
        wanted = self.value()
        if sign in _ORDER:
            return _beyond(name, sign, wanted)
        equal = _equal(name, wanted, in_quotes)
        return (lambda row: not equal(row)) if sign == "!=" else equal

    def value(self) -> str:
        mark = self.text[self.at : self.at + 1]
        if mark in _QUOTES:
            end = self.text.find(mark, self.at + 1)
            if end < 0:
                raise self.wrong(f"a closing {mark}")
            found, self.at = self.text[self.at + 1 : end], end + 1
            return found
        end = self._bare_end()
        found, self.at = self.text[self.at : end].strip(), end
        if not found:
            raise self.wrong("a value")
        return found

    def _bare_end(self) -> int:
        """Where a bare value ends: at ``and``, ``or``, or a bracket that was not opened in it."""
        word = _BARE_END.search(self.text, self.at)
        end, opened = word.start() if word is not None else len(self.text), 0
        for at in range(self.at, end):
            opened += {"(": 1, ")": -1}.get(self.text[at], 0)
            if opened < 0:
                return at
        return end


def _beyond(name: str, sign: str, wanted: str) -> RowFits:
    limit = number_of(wanted)
    if limit is None or math.isnan(limit):  # no number is beyond it
        raise BadParameter(f"{sign} compares numbers, not {visible(wanted)[:40]!r}.", "Use =.")
    compared = _ORDER[sign]

    def fits(row: ColumnOf) -> bool:
        value = number_of(row(name))
        return value is not None and bool(compared(value, limit))

    return fits


def _equal(name: str, wanted: str, as_text: bool) -> RowFits:
    def fits(row: ColumnOf) -> bool:
        value = row(name)
        return value is not None and is_same(value, wanted, as_text)

    return fits
