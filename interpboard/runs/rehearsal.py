"""An analysis run to be planned: of many equal steps only a few are taken, the others are counted and priced.

A grid knows how many rows it has the moment it is handed to the evaluator, and a few timed steps say what a
row costs. So a plan is no formula beside the code: it is the code, with most of the steps of its long loops
left out. What is left out is priced by the steps taken before and behind it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple

SAMPLED = (0.0, 0.3, 0.65, 1.0)
"""How far through a loop a step is taken: the shapes change on the way."""


class Step(NamedTuple):
    """A step that began at ``row`` of its loop; its cost grows with ``work``."""

    row: int
    work: float
    seconds: float


@dataclass
class Rehearsal:
    """What was counted: ``rows`` of all loops, ``left_out_s`` seconds of steps not taken.

    ``kinds``: rows by what they are; ``priced``: the steps taken of loops that were there before.
    """

    rows: int = 0
    left_out: int = 0
    left_out_s: float = 0.0
    left_out_passes: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    priced: dict[tuple[str, int], list[Step]] = field(default_factory=dict)


_current: ContextVar[Rehearsal | None] = ContextVar("rehearsal", default=None)


@contextmanager
def rehearsing() -> Iterator[Rehearsal]:
    """While open, long loops take a few of their steps only. Their results mean nothing."""
    rehearsal = Rehearsal()
    token = _current.set(rehearsal)
    try:
        yield rehearsal
    finally:
        _current.reset(token)


class Loop:
    """One long loop over ``count`` rows. Outside of a rehearsal every step of it is due.

    Of a second loop over as many rows of the same kind none is: the first has said what they cost.
    """

    def __init__(self, what: str, count: int) -> None:
        self.rehearsal, self.count, self.key = _current.get(), count, (what, count)
        self._taken: list[Step] = []
        self._skipped: list[tuple[int, float]] = []  # row, work
        self._known: list[Step] = []
        self._began = 0.0
        if self.rehearsal is not None and count:
            self.rehearsal.rows += count
            self.rehearsal.kinds[what] += count
            self._known = self.rehearsal.priced.get(self.key, [])

    def due(self, done: int, rows: int) -> bool:
        """Whether the step over ``rows`` from row ``done`` on is to be taken."""
        if self.rehearsal is None:
            return True
        self._began = time.perf_counter()
        if self._known:
            return False
        # Two at the beginning: the first of a process makes what later ones find there.
        return len(self._taken) < 2 or any(
            done <= share * (self.count - 1) < done + rows for share in SAMPLED
        )

    def took(self, done: int, work: float) -> None:
        """The step that was due has been taken; ``work``: what its cost grows with."""
        if self.rehearsal is not None:
            self._taken.append(Step(done, work, time.perf_counter() - self._began))

    def skip(self, done: int, rows: int, work: float, passes: float) -> None:
        """It was not due; it would have been ``passes`` forward passes of the prompt."""
        assert self.rehearsal is not None
        self._skipped.append((done, work))
        self.rehearsal.left_out += rows
        self.rehearsal.left_out_passes += passes

    def close(self) -> None:
        """Price what was left out. Call it when the loop has ended."""
        if self.rehearsal is None:
            return
        warm = self._known or (self._taken[1:] if len(self._taken) > 1 else self._taken)
        if warm:
            self.rehearsal.priced[self.key] = warm
        self.rehearsal.left_out_s += sum(work * _pace(warm, row) for row, work in self._skipped)


def _pace(taken: list[Step], row: int) -> float:
    """Seconds for a unit of work at ``row``: between those of the steps before and behind it."""
    before = [step for step in taken if step.row <= row] or taken[:1]
    behind = [step for step in taken if step.row > row] or taken[-1:]
    low, high = before[-1], behind[0]
    first, last = (step.seconds / max(step.work, 1e-9) for step in (low, high))
    if high.row <= low.row:
        return first
    share = min(1.0, max(0.0, (row - low.row) / (high.row - low.row)))
    return first + share * (last - first)
