"""Lists of likely tokens, as rows of bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from interpboard.display import visible_token
from tui import words
from tui.widgets.bars import Bar

if TYPE_CHECKING:
    from interpboard.results import LabelledArray

TopList = list[tuple[str, float]]


def pairs(extra: Mapping[str, LabelledArray], name: str, *at: int) -> TopList:
    """(token, probability) of the arrays ``name_tokens`` and ``name_probs`` [… , rank] at a place."""
    tokens, probs = extra[f"{name}_tokens"].values[at], extra[f"{name}_probs"].values[at]
    return [(str(token), float(prob)) for token, prob in zip(tokens, probs, strict=True)]


def top_bars(top: TopList, target: str | None, problem: str = "") -> list[Bar]:
    """The likeliest tokens or labels, one a row; the target in bold. ``problem``: of a model with labels."""
    limit = (
        max((abs(p) for _, p in top), default=1.0) or 1.0 if problem in ("value", "vector") else 1.0
    )
    return [
        Bar(
            f"{rank:>2} {visible_token(token)}",
            words.share_or_value(p, problem),
            p / limit,
            token == target,
            (token,),
        )
        for rank, (token, p) in enumerate(top, start=1)
    ]
