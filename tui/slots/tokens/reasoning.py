"""Reasoning that stands between ``<think>`` marks: folded in Tokens until somebody wants to see it.

What is folded is one line with the sum of its scores, said to be one. A section in which something is
explained stays open.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan
from typing import TYPE_CHECKING

from tui.commands.reasons import no_result
from tui.slots.tokens.units import Part

if TYPE_CHECKING:
    from interpboard.results import PromptInfo
    from tui.controllers.controllers import Controllers
    from tui.session.state import State
    from tui.slots.tokens.spans import PositionRange


def folded_in(state: State, prompt: PromptInfo, explained: int) -> tuple[PositionRange, ...]:
    """The sections ``[begin, end)`` of ``prompt`` that are one line."""
    from interpboard.results.tokens import reasoning_sections

    if state.reasoning_open:
        return ()
    return tuple(own for own in reasoning_sections(prompt) if not own[0] <= explained < own[1])


def with_reasoning_folded(
    parts: Sequence[Part], folded: Sequence[PositionRange], tokens: Sequence[str]
) -> list[Part]:
    """``parts`` with those inside a folded section made one, the sum of their scores.

    A sentence there may have the line break before the section or behind it: that does not reach out of it.
    """
    found = list(parts)
    for begin, end in folded:
        inside = [own for own in found if _within(own, begin, end, tokens)]
        if len(inside) < 2:
            continue
        scores = [own.score for own in inside if not isnan(own.score)]
        label = f"<think> {end - begin} tokens"
        whole = Part(label, inside[0].begin, inside[-1].end, sum(scores) if scores else nan)
        first = found.index(inside[0])
        found[first : first + len(inside)] = [whole.summing(len(inside))]
    return found


def _within(part: Part, begin: int, end: int, tokens: Sequence[str]) -> bool:
    outside = (*tokens[part.begin : begin], *tokens[end : part.end])
    return part.begin < end and begin < part.end and not "".join(outside).strip()


def fold_reasoning(controllers: Controllers) -> None:
    """Open what is folded, or fold it again."""
    controllers.session.change("tokens", reasoning_open=not controllers.state.reasoning_open)


def no_reasoning(controllers: Controllers, place: str) -> str:
    """Does the prompt hold no section that could be folded?"""
    from interpboard.results.tokens import reasoning_sections

    if reason := no_result(controllers, place):
        return reason
    prompt = controllers.state.slots["tokens"].prompt
    there = prompt is not None and reasoning_sections(prompt)
    return "" if there else "This prompt has no <think> section."
