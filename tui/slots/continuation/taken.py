"""The prompt with what the model has written behind it. Pure."""

from __future__ import annotations

from interpboard.results import Result
from interpboard.results.two_texts import BARS, SEPARATOR

_HALF = "\ufffd"  # what a part of a character is decoded to


def text_with(text: str, result: Result, row: int, two_strips: bool) -> str:
    """``text`` and what is written up to ``row``; of an encoder–decoder in the prefix of its target.

    Empty where nothing can be put there: the text ends, or the row is a part of a character.
    """
    known = result.extra.get("text")
    written = "" if known is None else str(known.values[row])
    if not written.strip() or _HALF in written:
        return ""
    if two_strips and BARS not in text:
        return f"{text.rstrip()}{SEPARATOR}{written.lstrip()}"
    return text + written
