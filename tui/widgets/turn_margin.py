"""Who speaks, at the left of lines of tokens: the role where a turn begins, a bar along its other lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from interpboard.display import ascii_everywhere, fit, visible

if TYPE_CHECKING:
    from interpboard.results.info import Turn

_WHOLE = 56  # columns from which on roles are written out
_LONGEST = 9


class TurnMargin:
    """The margin for the tokens of ``turns``; without turns there is none."""

    def __init__(self, turns: Sequence[Turn] = ()) -> None:
        self.turns = tuple(turns)
        self.begins = frozenset(turn.begin for turn in turns if turn.begin)
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
        return 2 + min(_LONGEST, max(len(visible(turn.role)) for turn in self.turns))

    def said(self, first: int, room: int) -> str:
        """What stands at the left of a line that begins with the token ``first``."""
        width = self.width(room)
        turn = next((own for own in self.turns if own.begin <= first < own.end), None)
        bar = "|" if ascii_everywhere.get() else "▏"
        if turn is None or not width:
            return " " * width
        role = fit(visible(turn.role), width - 2) if width > 2 else visible(turn.role)[:1]
        if first == turn.begin:
            return f"{role}{bar}" if width == 2 else f"{role} {bar}"
        return " " * (width - 1) + bar
