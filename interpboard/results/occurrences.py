"""Where a text stands in a prompt: as characters, and as the tokens that hold them."""

from __future__ import annotations

import unicodedata

from interpboard.results.info import PromptInfo


def occurrences(text: str, part: str) -> list[tuple[int, int]]:
    """Where ``part`` stands in ``text``, as characters ``[begin, end)``; these may overlap.

    As it is written, else as what Unicode holds to be the same: ``é`` as one character or as two.
    """
    if not part:
        return []
    found = _found(text, part)
    if found:
        return [(begin, begin + len(part)) for begin in found]
    pieces = [unicodedata.normalize("NFD", char) for char in text]
    starts = [0]
    for piece in pieces:
        starts.append(starts[-1] + len(piece))
    char_at = {
        start: at for at, start in enumerate(starts)
    }  # matches begin and end with characters
    wanted = unicodedata.normalize("NFD", part)
    ends = ((begin, begin + len(wanted)) for begin in _found("".join(pieces), wanted))
    return [(char_at[b], char_at[e]) for b, e in ends if b in char_at and e in char_at]


def _found(text: str, part: str) -> list[int]:
    found: list[int] = []
    at = text.find(part)
    while at >= 0:
        found.append(at)
        at = text.find(part, at + 1)
    return found


def touching(prompt: PromptInfo, begin: int, end: int) -> tuple[int, ...]:
    """Positions of the tokens that hold any of the characters ``[begin, end)`` of the text."""
    return tuple(
        at for at, (first, last) in enumerate(prompt.spans) if max(first, begin) < min(last, end)
    )
