"""What comes next, beside the text in Tokens: the model's ten likeliest tokens, clean and edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget

from tui import words
from tui.session.state import State
from tui.slots.at_cursor import Predicted
from tui.slots.predictions.spec import LIKELY_TOKENS
from tui.slots.tokens.likely import LikelyTokens
from tui.slots.top_tokens import TopList, pairs, top_bars
from tui.slots.what_if.spec import WHAT_IF
from tui.widgets.bars import Bar, Bars

if TYPE_CHECKING:
    from interpboard.results import Result

_NUMBERS = {"value": "value", "vector": "components"}  # of a model with neither tokens nor labels


class NextTokens:
    """Two lists: ``after`` of the clean run, or of the cell ``lens``; ``edited`` of the other one."""

    def __init__(self) -> None:
        self.after = Bars(id="next", folds=True)
        self.edited = Bars(id="next-edited", folds=True)
        self.lens: Predicted | None = None
        self._behind: Result | None = None

    @property
    def lists(self) -> tuple[Bars, Bars]:
        """Both."""
        return self.after, self.edited

    def tokens(self, state: State) -> TopList:
        """(token, probability), likeliest first: the model's, or of the lens cell under its cursor."""
        if self.lens is not None:
            return self.lens.top
        result = state.slots["predictions"].result
        return [] if result is None else [(t, p) for _, t, p in words.top_list(result)]

    def fill(self, state: State) -> None:
        """Show what ``state`` has of them."""
        edited = self._edited_next(state)
        where = self._where(state)
        previous = state.previous("predictions" if self.lens is None else "lens")
        if previous:
            where = f"{previous}: {where}"
        both = edited is not None
        clean = "clean" if self.lens is None and not previous else f"{where}, clean"
        self.after.show(_bars(state, self.tokens(state)), clean if both else where)
        self._fill_behind(state)
        if edited is not None:
            late = " (by an older list)" if WHAT_IF.stale(state) else ""
            self.edited.show(_bars(state, edited), "edited" + late)
        if self.edited.display != both:
            self.edited.display = both

    def shown_by(self) -> Mapping[str, Sequence[Widget]]:
        """The slots that they are of."""
        after = "predictions" if self.lens is None else "lens"
        return {after: (self.after,), "what_if": (self.edited,)}

    def _where(self, state: State) -> str:
        if self.lens is not None:
            return self.lens.where
        result, prompt = state.slots["predictions"].result, state.slots["predictions"].prompt
        if result is None or prompt is None:
            return ""
        at, tokens = result.metric.position, prompt.tokens
        read = f"{at} {words.token(tokens[at])}" if at < len(tokens) else ""
        if result.metric.problem:
            where = _NUMBERS.get(result.metric.problem, "labels")
            return where + (
                f", read at {read}" if read and result.metric.problem != "vector" else ""
            )
        return f"{result.metric.place} {read}" if read else ""

    def _fill_behind(self, state: State) -> None:
        """What a search finds behind the list: of this question, and not of a cell of the lens."""
        answer = state.slots[LIKELY_TOKENS.name]
        of_now = self.lens is None and answer.question == state.question
        result = answer.result if of_now else None
        if result is not self._behind:
            self._behind = result
            found = None if result is None else LikelyTokens(result, len(self.after.bars))
            self.after.behind = (lambda _query: ()) if found is None else found.beyond

    def _edited_next(self, state: State) -> TopList | None:
        """What follows in the edited run, at the same place."""
        if self.lens is not None:
            return self.lens.edited
        found = state.edited("what_if")
        return pairs(found.extra, "top", 1) if found is not None else None


def _bars(state: State, top: TopList) -> list[Bar]:
    result = state.slots["predictions"].result
    target = result.metric.target.token if result and result.metric.target else None
    return top_bars(top, target, "" if result is None else result.metric.problem)
