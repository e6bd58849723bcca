"""A value of a column as the text and as the number that it is: for filters, groups and labels alike.

``1``, ``1.0`` and ``true`` come as numbers and truth values from one format and as texts from another; a
letter with an accent is one sign or two. What is the same to a reader is the same here.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from unicodedata import normalize

_NUMBER = re.compile(
    r"\s*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,9})?|inf(?:inity)?)\s*", re.ASCII | re.IGNORECASE
)
_WHOLE_MOST = 2.0**53
_TRUTH = ("true", "false")


def written_value(value: Any) -> str:
    """``value`` as a label or the name of a group: ``true``; of a float that is whole ``1``, as JSON has one
    kind of number."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and abs(value) < _WHOLE_MOST and value == int(value):
        return str(int(value))
    return normalize("NFC", str(value))


def number_of(value: Any) -> Decimal | None:
    """The number that ``value`` is or that its text says, all digits of it; None: it is none."""
    if value is None or isinstance(value, bool):
        return None
    text = repr(value) if isinstance(value, float) else str(value)
    return Decimal(text.strip()) if _NUMBER.fullmatch(text) else None


def is_same(value: Any, wanted: str, as_text: bool = False) -> bool:
    """Whether ``value``, which is not None, is what is called ``wanted``: the same text, the same number
    (``as_text``: not where it is a text), or ``true`` and ``false`` in any case."""
    text = written_value(value)
    if text == normalize("NFC", wanted):
        return True
    if isinstance(value, str) and as_text:
        return False
    if wanted.lower() in _TRUTH:
        return text.lower() == wanted.lower()
    own, other = number_of(value), number_of(wanted)
    if own is None or other is None:
        return False
    return own == other or (isinstance(value, float) and value == float(wanted))
