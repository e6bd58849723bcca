"""The engine's owner: starts the process, matches events to jobs, notices death, starts again.

A *slot* is a place on the screen that shows one result at a time (``tokens``, ``heads``, ``model``).
Running something in a slot cancels what ran there before, and what comes of the replaced job is told as
``Late``, so a listener never takes a stale result for a new one. Everything happens on the event loop that
called ``start``.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from interpboard.config import engine_log
from interpboard.engine import protocol
from interpboard.engine.late import Late
from interpboard.engine.lost import Lost
from interpboard.engine.process import EngineProcess
from interpboard.engine.sent_job import SentJob
from interpboard.results import Chat

_MODEL_SLOT = "model"
CANCEL_GRACE_S = 3.0
MAX_DEATHS, DEATHS_WINDOW_S = 5, 180.0

Listener = Callable[[str, "protocol.Event | Lost | Late"], None]


@dataclass
class EngineClient:
    """Owns one engine process. ``listener(slot, event)`` is called on the loop for every event.
    ``idle`` is set while no job is under way: tests and scripts wait for it instead of sleeping.
    ``restarts``: a process that ended by itself is started again.
    """

    listener: Listener
    command: Sequence[str] = (sys.executable, "-m", "interpboard.engine.worker")
    log_path: Path = field(default_factory=engine_log)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    model_request: protocol.Load | None = None
    restarts: bool = True

    def __post_init__(self) -> None:
        self._jobs: dict[int, SentJob] = {}
        self._newest: dict[str, int] = {}
        self._next_job = 1
        self._process: EngineProcess | None = None
        self._reader: asyncio.Task[None] | None = None
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        self._closing = False
        self._starting = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._loaded: protocol.Load | None = None
        self._aside: tuple[int, ...] = ()
        self._other_version = False  # the engine on disk: starting it again changes nothing
        self.idle.set()

    @property
    def pid(self) -> int | None:
        """Process id of the engine, None when there is none."""
        return self._process.pid if self._process is not None else None

    @property
    def busy_slots(self) -> tuple[str, ...]:
        """The slots with a job under way."""
        return tuple(job.slot for job in self._jobs.values() if not job.cancelled)

    async def start(self) -> None:
        """Start the process, if none runs; load again the model that was in use."""
        if self.pid is not None or self._closing or self._starting:
            return
        self._starting = True
        try:
            self._process = await EngineProcess.spawn(self.command, self.log_path)
        finally:
            self._starting = False
        self._process.send(protocol.Greeting())
        self._reader = asyncio.create_task(self._read(self._process))
        if self.model_request is not None and _MODEL_SLOT not in self.busy_slots:
            self._submit(_MODEL_SLOT, self.model_request)
        # The model first: it was asked for after the analyses if those brought the engine back.
        for job in sorted(self._jobs.values(), key=lambda job: job.slot != _MODEL_SLOT):
            self._send(job)

    def load(self, model: str, **options: Any) -> int:
        """Load ``model`` (slot ``model``): Loading events, then Ready or Failed."""
        self.model_request = protocol.Load(job=0, model=model, **options)
        return self._submit(_MODEL_SLOT, self.model_request)

    def run(
        self,
        slot: str,
        analysis: str,
        text: str | Chat,
        metric: protocol.MetricRequest | None = None,
        params: Mapping[str, Any] | None = None,
        cells: protocol.Cells | None = None,
        bare: bool = False,
        share: tuple[int, int] | None = None,
    ) -> int:
        """Run an analysis in ``slot``: Begun and Progress events, then Finished, Failed or Stopped.
        ``cells``: those of the same request that are known, which are not computed again. ``bare``: nothing
        is put around the text. ``share``: see ``RunAnalysis``."""
        asked = _to_run(analysis, text, metric, params, cells, bare)
        return self._submit(slot, msgspec.structs.replace(asked, share=share))

    def plan(
        self,
        slot: str,
        analysis: str,
        text: str | Chat,
        metric: protocol.MetricRequest | None = None,
        params: Mapping[str, Any] | None = None,
        bare: bool = False,
    ) -> int:
        """Ask what ``run`` would take of the same: Planned, or Failed."""
        asked = _to_run(analysis, text, metric, params, None, bare)
        return self._submit(slot, protocol.PlanAnalysis(0, asked))

    def tokenize(self, slot: str, text: str | Chat, bare: bool = False) -> int:
        """Ask which tokens ``text`` is as a prompt: Tokens, or Failed."""
        return self._submit(slot, protocol.Tokenize(job=0, text=text, bare=bare))

    def split(self, slot: str, text: str) -> int:
        """Ask which tokens ``text`` is inside a text: Tokens, or Failed."""
        return self._submit(slot, protocol.Split(job=0, text=text))

    def vocabulary(self, slot: str) -> int:
        """Ask for the strings of all tokens: TokenStrings, or Failed."""
        return self._submit(slot, protocol.Vocabulary(job=0))

    def cancel(self, slot: str | None = None) -> None:
        """Cancel the job of ``slot``, or every analysis. Its last event will be Stopped."""
        for job in list(self._jobs.values()):
            if (slot is None and job.slot != _MODEL_SLOT) or job.slot == slot:
                self._cancel(job)

    def aside(self, slots: Collection[str]) -> None:
        """Nobody looks at these slots: the jobs of all others go before theirs."""
        jobs = tuple(job.number for job in self._jobs.values() if job.slot in slots)
        if self._process is not None and jobs != self._aside:
            self._aside = jobs
            self._process.send(protocol.Aside(jobs))

    async def restart(self) -> None:
        """Start anew on request, also after giving up."""
        self._deaths.clear()
        if self.pid is None:
            await self.start()
        else:
            await self._kill_and_restart()

    async def stop(self) -> None:
        """End the process and wait for it."""
        self._closing = True
        if self._process is None:
            return
        await self._process.end()
        if self._reader is not None:
            await self._reader
        self._forget_all()
        with contextlib.suppress(OSError):
            if self.log_path.is_file() and self.log_path.stat().st_size == 0:
                self.log_path.unlink()

    def _submit(self, slot: str, request: protocol.EngineJob) -> int:
        number = self._next_job
        self._next_job += 1
        before = self._jobs.get(self._newest.get(slot, 0))
        if before is not None:
            self._cancel(before)
        job = SentJob(number, slot, msgspec.structs.replace(request, job=number))
        self._jobs[number] = job
        self._newest[slot] = number
        self.idle.clear()
        if self.pid is None:
            self._in_background(self.start())
        else:
            self._send(job)
        return number

    def _send(self, job: SentJob) -> None:
        if self._process is not None and self.pid is not None and not (job.sent or self._starting):
            job.sent = True
            try:
                self._process.send(job.request)
            except UnicodeEncodeError:  # half of a surrogate pair: no frame can hold it
                why = ("bad_prompt", "The text is not valid UTF-8.", "Check its encoding.")
                self._finish(job, protocol.Failed(job.number, *why))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _cancel(self, job: SentJob) -> None:
        if job.cancelled:
            return
        job.cancelled = True
        if not job.sent or self._process is None:
            self._finish(job, protocol.Stopped(job.number))
            return
        self._process.send(protocol.Cancel(job.number))
        if isinstance(job.request, protocol.PlanAnalysis):
            return  # nobody waits for it: it may end at its next step, however long that is
        loop = asyncio.get_running_loop()
        job.killer = loop.call_later(CANCEL_GRACE_S, self._cancel_was_not_heard, job.number)

    def _cancel_was_not_heard(self, number: int) -> None:
        if number in self._jobs:
            self._in_background(self._kill_and_restart())

    async def _kill_and_restart(self) -> None:
        if self._process is None or self._process.killed:  # another call is at it
            return
        # Innocent bystanders run again; the model is loaded again by start.
        wanted = [j for j in self._jobs.values() if not j.cancelled and j.slot != _MODEL_SLOT]
        await self._process.kill()
        if self._reader is not None:
            await self._reader
        self._stop_cancelled()
        self._forget_all()
        for job in wanted:
            self._submit(job.slot, job.with_cells)
        await self.start()

    async def _read(self, process: EngineProcess) -> None:
        code = await process.read(self._take)
        if not (process.killed or self._closing):
            await self._died(process, code)

    def _take(self, event: protocol.Event) -> None:
        if isinstance(event, protocol.Hello):
            wrong = protocol.mismatch(event, protocol.Greeting())
            if wrong and self._process is not None:
                self._other_version = True
                self._process.end_for(wrong)
            self.listener("", event)
            return
        job = self._jobs.get(event.job)
        if job is None:
            return
        if isinstance(event, protocol.Ready) and isinstance(job.request, protocol.Load):
            self._loaded = job.request
        if isinstance(event, protocol.Progress) and event.cells is not None:
            job.cells.append(event.cells)
        if isinstance(event, (protocol.Loading, protocol.Begun, protocol.Progress)):
            self._tell(job, event)
        else:
            self._finish(job, event)

    def _finish(self, job: SentJob, event: protocol.Event) -> None:
        """The last event of ``job``."""
        self._forget(job)
        came_to_nothing = isinstance(event, (protocol.Failed, protocol.Stopped))
        if job.slot == _MODEL_SLOT and came_to_nothing and self._is_newest(job):
            self.model_request = self._loaded
        self._tell(job, event)

    def _tell(self, job: SentJob, event: protocol.Event) -> None:
        told = job.told(event)
        if told is not None and self._is_newest(job):
            self.listener(job.slot, told)
        elif told is not None and isinstance(job.request, protocol.RunAnalysis):
            self.listener(job.slot, Late(told))

    def _is_newest(self, job: SentJob) -> bool:
        return self._newest.get(job.slot) == job.number

    async def _died(self, process: EngineProcess, code: int) -> None:
        self._stop_cancelled()
        slots = tuple(dict.fromkeys(self.busy_slots))
        if _MODEL_SLOT in slots and self._loaded is not None:
            self.model_request = self._loaded  # a model that ends the process is not tried again
        self._forget_all()
        now = time.monotonic()
        self._deaths.append(now)
        often = len(self._deaths) == MAX_DEATHS and now - self._deaths[0] < DEATHS_WINDOW_S
        hopeless = often or self._other_version or not self.restarts
        self._other_version = False
        lost = Lost(code, process.log_tail(), slots, not hopeless, process.fault)
        self.listener("", lost)
        if not hopeless:
            await self.start()

    def _stop_cancelled(self) -> None:
        for job in [job for job in self._jobs.values() if job.cancelled]:
            self._finish(job, protocol.Stopped(job.number))

    def _forget(self, job: SentJob) -> None:
        if job.killer is not None:
            job.killer.cancel()
        self._jobs.pop(job.number, None)
        if not self._jobs:
            self.idle.set()

    def _forget_all(self) -> None:
        for job in list(self._jobs.values()):
            self._forget(job)


def _to_run(
    analysis: str,
    text: str | Chat,
    metric: protocol.MetricRequest | None,
    params: Mapping[str, Any] | None,
    cells: protocol.Cells | None,
    bare: bool,
) -> protocol.RunAnalysis:
    asked = metric or protocol.MetricRequest()
    return protocol.RunAnalysis(0, analysis, text, asked, dict(params or {}), cells, bare)
