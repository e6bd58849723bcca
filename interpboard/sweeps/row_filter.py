"""Which rows are meant: ``right=true and label!=B and length>12``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

from interpboard.errors import BadParameter
from interpboard.sweeps.row_results import RowResult

RowFilter = Callable[[RowResult], bool]
OF_RESULTS = ("row", "place", "text", "target", "foil", "answer", "right", "position", "baseline")
_TERM = re.compile(r"\s*([\w .-]+?)\s*(!=|<=|>=|=|<|>)\s*(.*?)\s*", re.DOTALL)
_AND = re.compile(r"\s+and\s+")
_ORDER = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}


def row_filter(text: str) -> RowFilter:
    """The rows that fit every term of ``text``; a row without that column fits only ``!=``.

    A column of the dataset, or one of ``OF_RESULTS``; ``tokens`` is the prompt's length. Texts are compared
    as they stand, or in quotes with their spaces; ``<`` and ``>`` compare numbers. Raises ``BadParameter``.
    """
    if not text.strip():
        return lambda _row: True
    terms = [_term(part) for part in _AND.split(text.strip())]
    return lambda row: all(term(row) for term in terms)


def _term(text: str) -> RowFilter:
    found = _TERM.fullmatch(text)
    if found is None:
        raise BadParameter(
            f"{text[:60]!r} says nothing of a row.", "Write column=value, joined by and."
        )
    name, sign, wanted = found.groups()
    if wanted[:1] == wanted[-1:] and wanted[:1] in ("'", '"') and len(wanted) > 1:
        wanted = wanted[1:-1]
    if sign in _ORDER:
        try:
            limit = float(wanted)
        except ValueError:
            raise BadParameter(f"{sign} compares numbers, not {wanted[:40]!r}.", "Use =.") from None
        return lambda row: _is_beyond(_value(row, name), _ORDER[sign], limit)
    if sign == "=":
        return lambda row: _same(_value(row, name), wanted)
    return lambda row: not _same(_value(row, name), wanted)


def _value(row: RowResult, name: str) -> Any:
    if name in row.columns:
        return row.columns[name]
    if name == "tokens":
        return len(row.roles)
    return getattr(row, name) if name in OF_RESULTS else None


def _same(value: Any, wanted: str) -> bool:
    if value is None:
        return False
    if isinstance(value, bool):
        return str(value).lower() == wanted.lower()
    if isinstance(value, int | float):
        try:
            return float(wanted) == value
        except ValueError:
            return False
    return str(value) == wanted


def _is_beyond(value: Any, compared: Callable[[float, float], bool], limit: float) -> bool:
    try:
        return value is not None and compared(float(value), limit)
    except (TypeError, ValueError):
        return False
