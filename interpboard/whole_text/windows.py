"""A long text in windows: which tokens the model sees together, and which of them each window scores.

Every token is scored once: by a decoder in the window in which it has the most tokens before it, by an
encoder in that whose nearer edge is furthest. What the tokenizer puts around a text stands around each.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from interpboard.errors import BadParameter


@dataclass(frozen=True)
class ScoredWindow:
    """The text's tokens ``[begin, end)``, of which ``[first, upto)`` are scored; None: up to ``end``."""

    begin: int
    end: int
    first: int
    upto: int | None = None

    @property
    def last(self) -> int:
        """The end of what is scored."""
        return self.end if self.upto is None else self.upto


def windows_of(length: int, size: int, stride: int, in_front: int = 0) -> tuple[ScoredWindow, ...]:
    """Windows over a text of ``length`` tokens, none longer than ``size`` with the ``in_front`` tokens of
    the tokenizer's; each but the first scores at most ``stride`` tokens.

    Raises ``BadParameter`` for a window without room, and for a stride that would leave a token without
    any before it.
    """
    own = size - in_front
    least = 1 if in_front else 2
    if own < least:
        raise BadParameter(
            f"A window of {size} has no token to predict.", f"Take at least {in_front + least}."
        )
    most = own if in_front else own - 1
    if not 1 <= stride <= most and length > own:
        raise BadParameter(
            f"A stride of {stride} leaves tokens without any before them in windows of {size}.",
            f"Use 1 to {most}.",
        )
    found, end, scored = [], min(own, length), 0
    while True:
        found.append(ScoredWindow(max(0, end - own), end, scored))
        if end == length:
            return tuple(found)
        scored, end = end, min(length, end + stride)


def windows_around(length: int, own: int, stride: int) -> tuple[ScoredWindow, ...]:
    """Windows of ``own`` tokens of a text of ``length``, for a model that sees both ways: between two windows
    the border is in the middle of what they share.

    Raises ``BadParameter`` for windows of no token and for a stride by which tokens would be in none.
    """
    if own < 1:
        raise BadParameter("A window has no token to predict.", "Take a larger one.")
    if not 1 <= stride <= own and length > own:
        raise BadParameter(
            f"A stride of {stride} leaves tokens out of windows of {own}.", f"Use 1 to {own}."
        )
    if length <= own:
        return (ScoredWindow(0, length, 0, length),)
    begins = [*range(0, length - own, stride), length - own]
    borders = [0, *((b + a + own) // 2 for a, b in pairwise(begins)), length]
    return tuple(
        ScoredWindow(begin, begin + own, borders[i], borders[i + 1])
        for i, begin in enumerate(begins)
    )
