"""The next tokens behind the ten that are shown, found by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from interpboard.display import visible_token
from tui import words
from tui.slots.top_tokens import TopList
from tui.widgets.cells import SearchCell, as_searched

_SAID = 200  # places that a search goes through

if TYPE_CHECKING:
    from interpboard.results import Result


@dataclass
class LikelyTokens:
    """Those of ``result``; the list shows the first ``shown`` of them."""

    result: Result
    shown: int
    _tokens: TopList = field(init=False)

    def __post_init__(self) -> None:
        self._tokens = [(token, share) for _, token, share in words.top_list(self.result)]
        self._plain = {
            capitals: [as_searched(token, capitals) for token, _ in self._tokens]
            for capitals in (False, True)
        }

    def beyond(self, query: str) -> Sequence[SearchCell]:
        """Those behind the list whose name has ``query`` in it, with rank and share."""
        capitals = query != query.lower()
        plain, problem = as_searched(query, capitals), self.result.metric.problem
        found = [at for at, name in enumerate(self._plain[capitals]) if plain and plain in name]
        found.sort(key=lambda at: (self._plain[capitals][at] != plain, at))
        return [
            SearchCell(at, (token,), note=_note(at + 1, token, share, problem))
            for at, (token, share) in ((at, self._tokens[at]) for at in found[:_SAID])
            if at >= self.shown
        ]


def _note(rank: int, token: str, share: float, problem: str) -> str:
    return f"{visible_token(token)} is number {rank:,}  {words.share_or_value(share, problem)}"
