"""Spans of the prompt that the user marks: kept with the text they are of, and asked for as units."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tui.commands.command import keyed
from tui.commands.reasons import no_result
from tui.slots.tokens.units import method_in, spans_in, unit_choice

if TYPE_CHECKING:
    from tui.controllers.controllers import Controllers

PositionRange = tuple[int, int]


def stretches(positions: Iterable[int]) -> list[PositionRange]:
    """``[begin, end)`` of each run of neighbours."""
    found: list[PositionRange] = []
    for at in sorted(positions):
        if found and found[-1][1] == at:
            found[-1] = (found[-1][0], at + 1)
        else:
            found.append((at, at + 1))
    return found


def joined_spans(
    spans: Iterable[PositionRange], new: Iterable[PositionRange]
) -> tuple[PositionRange, ...]:
    """``spans`` and ``new``; what overlaps a new one makes room for it."""
    new = tuple(new)
    kept = [own for own in spans if not any(own[0] < e and b < own[1] for b, e in new)]
    return tuple(sorted([*kept, *new]))


def mark_span(controllers: Controllers) -> None:
    """The marked tokens become spans, each run of neighbours one; without any the cursor's span goes."""
    state, at = controllers.state, controllers.panes.view.position
    spans = spans_in(state)
    if state.subject:
        spans = joined_spans(spans, stretches(state.subject))
    else:
        spans = tuple(own for own in spans if not (at is not None and own[0] <= at < own[1]))
    text = state.question.text
    controllers.session.change(
        "tokens",
        "trace",
        spans=(text, spans),
        marked=("", ()),
        **unit_choice(state, "span" if spans else "token", method_in(state)),
    )


def nothing_to_mark(controllers: Controllers, place: str) -> str:
    """Is no token marked, and the cursor in no span?"""
    state, at = controllers.state, controllers.panes.view.position
    if reason := no_result(controllers, place):
        return reason
    if state.subject or any(b <= at < e for b, e in spans_in(state) if at is not None):
        return ""
    return keyed("Needs marked tokens: {key:subject} in Tokens, or the mouse drawn over them.")
