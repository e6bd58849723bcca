"""A long text in windows: which tokens the model sees together, and which of them each window scores.

Every token is scored once, in the window in which it has the most tokens before it. What the tokenizer puts
in front of a text stands in front of every window.
"""

from __future__ import annotations

from dataclasses import dataclass

from interpboard.errors import BadParameter


@dataclass(frozen=True)
class ScoredWindow:
    """The text's tokens ``[begin, end)``, of which those from ``first`` on are scored."""

    begin: int
    end: int
    first: int


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
