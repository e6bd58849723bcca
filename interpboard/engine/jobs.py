"""What the engine is to do: jobs in order, and whether the one that runs is still wanted.

What is quick goes before what is slow (``registry.spec.COSTS``), and what somebody looks at before what
nobody looks at. A job that shows estimates first counts as quick until they are there.
"""

from __future__ import annotations

import threading
from collections.abc import Collection

from interpboard.engine import protocol
from interpboard.registry import ANALYSES
from interpboard.registry.spec import COSTS

Rank = tuple[bool, int, int]  # out of sight, cost, its number
_TYPING = -1  # somebody waits for it while typing
_ESTIMATES = COSTS.index("gradients")


class Queue:
    """Jobs in order. ``cancel`` removes one that waits and flags one that runs."""

    def __init__(self) -> None:
        self._waiting: list[protocol.EngineJob] = []
        self._changed = threading.Condition()
        self._running: protocol.EngineJob | None = None
        self._cancelled = False
        self._aside: frozenset[int] = frozenset()
        self._estimated: set[int] = set()  # jobs that have shown their estimates

    def put(self, request: protocol.EngineJob) -> None:
        """Add a job. None goes before a load that was asked for earlier."""
        with self._changed:
            self._waiting.append(request)
            self._changed.notify()

    def put_back(self, request: protocol.EngineJob) -> None:
        """The job that runs has given way: it waits as if it had not begun."""
        with self._changed:
            self._waiting.insert(0, request)

    def take(self) -> protocol.EngineJob:
        """Wait for the next job; it then counts as running."""
        with self._changed:
            self._running, self._cancelled = None, False
            while not self._waiting:
                self._changed.wait()
            request = min(self._next(), key=self._rank)
            self._waiting.remove(request)
            self._running = request
            return request

    def cancel(self, job: int) -> bool:
        """True if the job was waiting and is now gone; one that runs is told to stop."""
        with self._changed:
            if self._running is not None and job == self._running.job:
                self._cancelled = True
                return False
            waiting = [request for request in self._waiting if request.job == job]
            for request in waiting:
                self._waiting.remove(request)
            return bool(waiting)

    def cancelled(self) -> bool:
        """Whether the running job was cancelled."""
        return self._cancelled

    def aside(self, jobs: Collection[int]) -> None:
        """Nobody looks at what these are for; at all others somebody does."""
        with self._changed:
            self._aside = frozenset(jobs)

    def estimated(self) -> None:
        """The running job has shown its estimates: what is left of it is slow."""
        with self._changed:
            if self._running is not None:
                self._estimated.add(self._running.job)

    @property
    def waiting(self) -> set[int]:
        """The numbers of the jobs that wait."""
        with self._changed:
            return {request.job for request in self._waiting}

    def gives_way(self) -> bool:
        """Does one wait that goes before the one that runs?"""
        with self._changed:
            running = self._running
            if running is None or not self._waiting:
                return False
            first = self._next()
            if isinstance(first[0], protocol.Load):
                return False
            return min(map(self._rank, first))[:2] < self._rank(running)[:2]

    def _next(self) -> list[protocol.EngineJob]:
        """The first load, or what was asked before it."""
        found: list[protocol.EngineJob] = []
        for request in self._waiting:
            if isinstance(request, protocol.Load):
                return found or [request]
            found.append(request)
        return found

    def _rank(self, request: protocol.EngineJob) -> Rank:
        return request.job in self._aside, self._cost(request), request.job

    def _cost(self, request: protocol.EngineJob) -> int:
        if not isinstance(request, protocol.RunAnalysis):
            return _TYPING
        known = ANALYSES.get(request.analysis)
        if known is None:  # it is refused at once
            return _TYPING
        estimates = request.params.get("preview") is True and request.job not in self._estimated
        cost = COSTS.index(known.cost_with(request.params))
        return min(cost, _ESTIMATES) if estimates else cost
