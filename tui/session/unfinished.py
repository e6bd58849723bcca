"""What was computed of a job that ended before its time: shown, kept to go on from, and saved. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tui.session.state import Answer, Request, State

if TYPE_CHECKING:
    from interpboard.engine.protocol import Progress
    from interpboard.results import Cells, ModelInfo, PromptInfo, Result

MOST_UNFINISHED = 12  # kept in memory; the store has more


@dataclass(frozen=True, eq=False)
class Unfinished:
    """The partial result of a slot's request to a model."""

    slot: str
    request: Request
    of: ModelInfo
    prompt: PromptInfo
    result: Result

    def answers(self, slot: str, request: Request) -> bool:
        """Is it what ``slot`` would ask with ``request``?"""
        return (self.slot, self.request) == (slot, request)


def known_cells(state: State, slot: str, request: Request) -> Cells | None:
    """Those that are known of ``request`` to the model in use, the most recent ones."""
    answer = state.slots[slot]
    if answer.result is not None and answer.result.partial and answer.request == request:
        return answer.result.partial.cells
    for each in reversed(state.unfinished):
        same = state.model is not None and each.of == state.model.info
        if same and each.answers(slot, request) and each.result.partial is not None:
            return each.result.partial.cells
    return None


def set_down(state: State, slot: str, last: Progress | None = None) -> State:
    """The job of ``slot`` ends before its time, with ``last`` to tell: what it has computed is kept.

    It is shown too, where the slot has nothing better on what it was asked.
    """
    answer = state.slots[slot]
    found = unfinished(state.model.info, slot, answer, last) if state.model is not None else None
    if found is None:
        return state
    state = with_unfinished(state, found)
    whole = answer.result is not None and not answer.result.partial
    if not found.result.axes or (whole and answer.request == found.request):
        return state
    return state.with_slot(
        slot, result=found.result, prompt=found.prompt, of=found.of, request=found.request
    )


def with_unfinished(state: State, found: Unfinished) -> State:
    """``state`` that has ``found`` to go on from, in place of what there was of the same."""
    others = tuple(e for e in state.unfinished if not e.answers(found.slot, found.request))
    return replace(state, unfinished=(*others, found)[-MOST_UNFINISHED:])


def dropped(state: State, slot: str, request: Request | None) -> State:
    """``request`` of ``slot`` has been answered whole."""
    kept = tuple(e for e in state.unfinished if request is None or not e.answers(slot, request))
    return replace(state, unfinished=kept) if len(kept) < len(state.unfinished) else state


def unfinished(
    of: ModelInfo, slot: str, answer: Answer, last: Progress | None = None
) -> Unfinished | None:
    """What the job of ``answer`` has computed on the model ``of``, with ``last`` to tell; None: nothing."""
    from interpboard.registry import ANALYSES
    from interpboard.results.partial import joined_cells

    if answer.begun is None or answer.pending is None or answer.job is None:
        return None
    more = last.cells if last is not None else None
    parts = [*answer.cells, more] if more is not None else list(answer.cells)
    cells = joined_cells(None, parts)
    if cells is None:
        return None
    prompt, nothing_yet = answer.begun
    shown = last.partial if last is not None and last.partial is not None else answer.partial
    total = last.total if last is not None else answer.job.total
    every = max(total if shown is None else min(total, shown.values.size), 1)
    unit = ANALYSES[nothing_yet.analysis].cells or "cells"
    result = nothing_yet.so_far(shown, cells, every, unit)
    if result.axes and result.partial is not None and result.partial.done == 0:
        result = nothing_yet.so_far(None, cells, max(total, len(cells)), unit)
    return Unfinished(slot, answer.pending, of, prompt, result)
