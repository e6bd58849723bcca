"""What the engine is to do: jobs in order, and whether the one that runs is still wanted."""

from __future__ import annotations

import threading
from collections import deque

from interpboard.engine import protocol


class Queue:
    """Jobs in order. ``cancel`` removes one that waits and flags one that runs."""

    def __init__(self) -> None:
        self._waiting: deque[protocol.EngineJob] = deque()
        self._changed = threading.Condition()
        self._running: int | None = None
        self._cancelled = False

    def put(self, request: protocol.EngineJob) -> None:
        """Add a job at the end; what somebody waits for while typing goes first."""
        with self._changed:
            quick = protocol.Split | protocol.Tokenize | protocol.Vocabulary
            loads = any(isinstance(job, protocol.Load) for job in self._waiting)
            if isinstance(request, quick) and not loads:
                self._waiting.appendleft(request)
            else:
                self._waiting.append(request)
            self._changed.notify()

    def take(self) -> protocol.EngineJob:
        """Wait for the next job; it then counts as running."""
        with self._changed:
            self._running, self._cancelled = None, False
            while not self._waiting:
                self._changed.wait()
            request = self._waiting.popleft()
            self._running = request.job
            return request

    def cancel(self, job: int) -> bool:
        """True if the job was waiting and is now gone; one that runs is told to stop."""
        with self._changed:
            if job == self._running:
                self._cancelled = True
                return False
            waiting = [request for request in self._waiting if request.job == job]
            for request in waiting:
                self._waiting.remove(request)
            return bool(waiting)

    def cancelled(self) -> bool:
        """Whether the running job was cancelled."""
        return self._cancelled
