"""How values are coloured and what their sides say: as the result says, before it is there the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tui import words

if TYPE_CHECKING:
    import numpy as np

    from interpboard.visualization.colors import Scale
    from tui.session.state import Answer, Request


def analysis_scale(analysis: str, params: Mapping[str, Any], values: np.ndarray) -> Scale:
    """The scale of ``values``: with a sign, of shares, or of sizes; around the neutral value."""
    from interpboard.registry import ANALYSES
    from interpboard.visualization.colors import Scale

    known = ANALYSES[analysis]
    return Scale.of_kind(values, known.scale_with(params), known.neutral_with(params))


def value_words(value: float, scale: Scale) -> str:
    """A value in words, with a sign where it can have one."""
    return words.signed(value) if scale.diverging else words.unsigned(value)


def answered(slot: Answer) -> Request | None:
    """What a slot's numbers answer: the job under way once it has values, else the last one."""
    under_way = slot.partial is not None and slot.pending is not None
    return slot.pending if under_way else slot.request


def slot_meaning(slot: Answer) -> tuple[str, float]:
    """What the slot's numbers mean, and the neutral value: the result's own, the registry's before it."""
    if slot.result is not None and slot.partial is None:
        return slot.result.meaning, slot.result.neutral
    request = answered(slot)
    if request is None:
        return "", 0.0
    from interpboard.registry import ANALYSES

    known = ANALYSES[request.analysis]
    metric = request.metric or request.question.metric
    return known.meaning_for(metric, request.params), known.neutral_with(request.params)


def side(slot: Answer, value: float) -> str:
    """What ``value`` says, in a few words; empty at the neutral value."""
    from interpboard.results.signs import side_of

    meaning, neutral = slot_meaning(slot)
    return side_of(meaning, value, neutral, short=True)


def sides(slot: Answer) -> str:
    """What both sides say, in a few words, each behind its sign."""
    from interpboard.results.signs import legend_of

    return legend_of(*slot_meaning(slot))
