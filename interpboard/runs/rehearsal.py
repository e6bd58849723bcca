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


AT_FIRST = 2
"""So many steps are taken at the beginning: the first of a process makes what later ones find there."""


class Step(NamedTuple):
    """A step that began at ``row`` of its loop; its cost grows with ``work``. ``passes``: forward passes
    of the prompt."""

    row: int
    work: float
    seconds: float
    passes: float = 0.0


@dataclass
class Rehearsal:
    """What was counted: ``rows`` of all loops, ``left_out_s`` seconds of steps not taken.

    ``kinds``: rows by what they are; ``priced``: the steps taken of loops that were there before; ``passes``:
    in [0], the forward passes that were run, as far as somebody counts them.
    """

    rows: int = 0
    left_out: int = 0
    left_out_s: float = 0.0
    left_out_passes: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    priced: dict[tuple[str, int], list[Step]] = field(default_factory=dict)
    passes: list[float] = field(default_factory=lambda: [0.0])

    @property
    def price(self) -> tuple[float, float]:
        """Seconds and passes until now that are no clock's: what loops left out, and all passes."""
        return self.left_out_s, self.passes[0] + self.left_out_passes


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
    ``around``: its steps have loops of such rows in them, which count them and are in the price of a step.
    """

    def __init__(self, what: str, count: int, *, around: str = "") -> None:
        self.rehearsal, self.count, self.key = _current.get(), count, (what, count)
        self.around = around
        self._taken: list[Step] = []
        self._skipped: list[tuple[int, float, float | None]] = []  # row, work, passes
        self._known: list[Step] = []
        self._began, self._before = 0.0, (0.0, 0.0)
        if self.rehearsal is not None and count:
            if not around:
                self._count(what, count)
            self._known = self.rehearsal.priced.get(self.key, [])

    def due(self, done: int, rows: int) -> bool:
        """Whether the step over ``rows`` from row ``done`` on is to be taken."""
        if self.rehearsal is None:
            return True
        self.begin()
        if self._known:
            return False
        return len(self._taken) < AT_FIRST or any(
            done <= share * (self.count - 1) < done + rows for share in SAMPLED
        )

    def begin(self) -> None:
        """The step begins here: what was done since it was due is another loop's."""
        if self.rehearsal is not None:
            self._began, self._before = time.perf_counter(), self.rehearsal.price

    def took(self, done: int, work: float) -> None:
        """The step that was due has been taken; ``work``: what its cost grows with."""
        if self.rehearsal is not None:
            left_s, passes = (
                now - before for now, before in zip(self.rehearsal.price, self._before, strict=True)
            )
            seconds = time.perf_counter() - self._began + left_s
            self._taken.append(Step(done, work, seconds, passes))

    def skip(self, done: int, rows: int, work: float, passes: float | None = None) -> None:
        """It was not due; it would have been ``passes`` forward passes of the prompt (None: as the steps
        taken were, for its work)."""
        assert self.rehearsal is not None
        self._skipped.append((done, work, passes))
        self.rehearsal.left_out += rows
        if self.around:
            self._count(self.around, rows)

    def close(self) -> None:
        """Price what was left out. Call it when the loop has ended."""
        if self.rehearsal is None:
            return
        warm = self._known or (self._taken[1:] if len(self._taken) > 1 else self._taken)
        if warm:
            self.rehearsal.priced[self.key] = warm
        for row, work, passes in self._skipped:
            priced = _pace(warm, row)
            self.rehearsal.left_out_s += work * priced[0]
            self.rehearsal.left_out_passes += work * priced[1] if passes is None else passes

    def _count(self, what: str, rows: int) -> None:
        assert self.rehearsal is not None
        self.rehearsal.rows += rows
        self.rehearsal.kinds[what] += rows


def _pace(taken: list[Step], row: int) -> tuple[float, float]:
    """Seconds and passes for a unit of work at ``row``: between those of the steps before and behind it."""
    if not taken:
        return 0.0, 0.0
    before = [step for step in taken if step.row <= row] or taken[:1]
    behind = [step for step in taken if step.row > row] or taken[-1:]
    low, high = before[-1], behind[0]
    first, last = (
        (s.seconds / max(s.work, 1e-9), s.passes / max(s.work, 1e-9)) for s in (low, high)
    )
    if high.row <= low.row:
        return first
    share = min(1.0, max(0.0, (row - low.row) / (high.row - low.row)))
    return first[0] + share * (last[0] - first[0]), first[1] + share * (last[1] - first[1])
