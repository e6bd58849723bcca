"""How far a job is, told to its owner: with the time that is left, and the cells computed meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from interpboard.engine import protocol
from interpboard.results import LabelledArray

if TYPE_CHECKING:
    from interpboard.runs.kept import KeptCells
    from interpboard.runs.watch import Pace

EVERY_S = 0.1
FEWEST = 0.02  # of the work, before its time is judged by it


class Telling:
    """Hears a job's steps and sends what is worth telling. ``kept``: its cells, where they are kept."""

    def __init__(
        self, job: int, send: Callable[[protocol.Event], None], kept: KeptCells | None, now: float
    ) -> None:
        self._job, self._send, self._kept = job, send, kept
        self._told, self._began = 0.0, now
        self._first: int | None = None
        self._pace: Pace | None = None
        self._last: tuple[int, int, LabelledArray | None] | None = None
        self._shown: LabelledArray | None = None

    def step(self, done: int, total: int, partial: LabelledArray | None) -> None:
        """``done`` of ``total``."""
        now = time.monotonic()
        self._last = done, total, partial
        self._shown = partial if partial is not None else self._shown
        if self._first is None:
            self._first, self._began = done, now
        if now - self._told >= EVERY_S:
            self._told = now
            self._send(self._progress(done, total, partial, now))

    def pace(self, pace: Pace) -> None:
        """What the steps timed so far say, this job's before those of others; what is new is told at once."""
        before = self._pace
        if pace.expected and before is not None and not before.expected:
            return
        self._pace = pace
        if before is None or before.expected != pace.expected:
            self._told = 0.0
            if self._last is not None and pace.expected:
                self.step(*self._last[:2], None)

    def last(self) -> protocol.Progress | None:
        """Where it ended, with what is not told yet; None if it never began."""
        if self._last is None:
            return None
        done, total, _ = self._last
        return self._progress(done, total, self._shown, time.monotonic())

    def rest(self) -> protocol.Progress | None:
        """The cells that are not told yet, without what they make; None: all are."""
        cells = self._kept.news() if self._kept is not None else None
        if cells is None or self._last is None:
            return None
        return protocol.Progress(self._job, *self._last[:2], left_s=0.0, cells=cells)

    def _progress(
        self, done: int, total: int, partial: LabelledArray | None, now: float
    ) -> protocol.Progress:
        cells = self._kept.news() if self._kept is not None else None
        left_s = self._left(done, total, now)
        expected = self._pace is not None and self._pace.expected
        return protocol.Progress(self._job, done, total, partial, left_s, cells, expected)

    def _left(self, done: int, total: int, now: float) -> float | None:
        """Seconds: by the cells' own pace where they have one, else by the share that is done."""
        if self._pace is not None:
            elsewhere = max(0, total - done - self._pace.cells_left)
            return self._pace.left_s + elsewhere * self._pace.a_cell_s
        share = (done - (self._first or 0)) / max(1, total)
        return (now - self._began) * (total - done) / total / share if share >= FEWEST else None
