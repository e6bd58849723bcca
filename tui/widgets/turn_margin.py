"""Who speaks, at the left of lines of tokens: the role where a turn begins, a bar along its other lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from interpboard.display import ascii_everywhere, fit, visible

if TYPE_CHECKING:
    from interpboard.results.info import Turn

_WHOLE = 56  # columns from which on roles are written out
_LONGEST = 9
_THINK = "think"


class TurnMargin:
    """The margin for the tokens of ``turns``; without turns there is none.

    ``reasoning``: sections ``[begin, end)`` that have lines of their own, named at the first.
    """

    def __init__(
        self, turns: Sequence[Turn] = (), reasoning: Sequence[tuple[int, int]] = ()
    ) -> None:
        self.turns = tuple(turns)
        self.reasoning = tuple(reasoning) if turns else ()
        borders = {at for section in self.reasoning for at in section}
        self.begins = frozenset({turn.begin for turn in turns} | borders) - {0}
        words = {at for turn in turns for at in range(*turn.content)}
        self.marks = frozenset(
            at for turn in turns for at in range(turn.begin, turn.end) if at not in words
        )

    def width(self, room: int) -> int:
        """Columns that it takes of ``room``."""
        if not self.turns:
            return 0
        if room < _WHOLE:
            return 2
        named = [visible(turn.role) for turn in self.turns] + [_THINK] * bool(self.reasoning)
        return 2 + min(_LONGEST, max(map(len, named)))

    def said(self, first: int, room: int) -> str:
        """What stands at the left of a line that begins with the token ``first``."""
        width = self.width(room)
        turn = next((own for own in self.turns if own.begin <= first < own.end), None)
        bar = "|" if ascii_everywhere.get() else "▏"
        if turn is None or not width:
            return " " * width
        thinks = any(first == begin for begin, _ in self.reasoning)
        named = _THINK if thinks else visible(turn.role)
        role = fit(named, width - 2) if width > 2 else named[:1]
        if thinks or first == turn.begin:
            return f"{role}{bar}" if width == 2 else f"{role} {bar}"
        return " " * (width - 1) + bar
