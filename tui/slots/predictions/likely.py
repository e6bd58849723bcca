"""What the model says next, where that is known for the question that is asked now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.session.state import State
from tui.session.type_ahead import TokenMatch

if TYPE_CHECKING:
    from interpboard.results import Result


def predicted(state: State) -> Result | None:
    """The predictions for the question, None while there are none."""
    answer = state.slots["predictions"]
    return answer.result if answer.question == state.question else None


def likely(state: State) -> tuple[list[TokenMatch], dict[int, float]]:
    """The likeliest next tokens, and their probabilities, where they are known."""
    result = predicted(state)
    if result is None:
        return [], {}
    ids = [int(id) for id in result.extra["token_ids"].values]
    texts = map(str, result.extra["tokens"].values)
    rows = [TokenMatch(id, text) for id, text in zip(ids, texts, strict=True)]
    return rows, dict(zip(ids, map(float, result.values), strict=True))
