"""Several engines as one: the first does what is asked, and of grids every one computes its share.

A grid is asked of all, each of its share of the cells; what they tell is told as of one job. With all shares
computed, each is given all cells and goes on to what the analysis asks for behind them, until one gives the
result. Whoever dies, the others compute its cells; it comes back where its client starts it again.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from interpboard.config import engine_log
from interpboard.engine import protocol
from interpboard.engine.client import EngineClient
from interpboard.engine.late import Late
from interpboard.engine.lost import Lost, SharedDevices
from interpboard.engine.one_grid import of_one_grid, why_not_of_one_grid
from interpboard.engine.shared_job import SharedJob
from interpboard.registry import ANALYSES
from interpboard.results import Cells, ModelInfo

Hears = Callable[[str, "protocol.Event | Lost | Late | SharedDevices"], None]
_ENGINE = (sys.executable, "-m", "interpboard.engine.worker")
_MODEL_SLOT = "model"
_ENDS = (protocol.Ready, protocol.Failed, protocol.Stopped)


class SeveralEngines:
    """One engine for each device of the model that is loaded: ``device="cuda:0,cuda:1"``.

    All as of ``EngineClient``, whose place it takes. The ``listener`` hears ``SharedDevices`` besides, when
    other engines than before share the grids, and what has happened to one.
    """

    def __init__(self, listener: Hears, command: Sequence[str] = _ENGINE) -> None:
        self.listener, self._command = listener, command
        self.idle = asyncio.Event()
        self.idle.set()
        self._clients: list[EngineClient] = []
        self._devices: tuple[str, ...] = ()
        self._loading, self._told = set[int](), tuple[str, ...]()
        self._models: dict[int, ModelInfo] = {}  # of the engines that live
        self._ready: protocol.Ready | None = None  # the first's, until the others have answered too
        self._jobs: dict[str, SharedJob] = {}
        self._numbers: dict[
            tuple[int, int], SharedJob
        ] = {}  # by engine, and its number for a share
        self._add()

    @property
    def pids(self) -> tuple[int | None, ...]:
        """The process of each engine."""
        return tuple(client.pid for client in self._clients)

    @property
    def busy_slots(self) -> tuple[str, ...]:
        """The slots with a job under way."""
        under_way = [slot for slot, job in self._jobs.items() if not job.ending]
        return tuple(dict.fromkeys([*self._clients[0].busy_slots, *under_way]))

    async def start(self) -> None:
        """Start the processes, if none run."""
        await asyncio.gather(*(client.start() for client in self._clients))

    async def stop(self) -> None:
        """End them and wait for it."""
        await asyncio.gather(*(client.stop() for client in self._clients))
        self._rest()

    async def restart(self) -> None:
        """Start all anew, also those that gave up."""
        for slot in tuple(self._jobs):
            self.cancel(slot)
        await asyncio.gather(*(client.restart() for client in self._clients))
        self._rest()

    def load(self, model: str, device: str = "auto", **options: Any) -> int:
        """Load ``model`` on each of the devices. Ready when all are, but for those that take no part."""
        self._devices = tuple(name.strip() for name in device.split(","))
        for _ in self._devices[len(self._clients) :]:
            self._add()
        self._ready, self._loading = None, set(range(len(self._devices)))
        own = zip(self._clients, self._devices, strict=False)
        numbers = [client.load(model, device=where, **options) for client, where in own]
        return self._rest(numbers[0])

    def run(
        self,
        slot: str,
        analysis: str,
        text: Any,
        metric: protocol.MetricRequest | None = None,
        params: Mapping[str, Any] | None = None,
        cells: Cells | None = None,
        bare: bool = False,
    ) -> int:
        """Run an analysis in ``slot``: its cells divided, if it has any and there is more than one engine."""
        before = self._jobs.pop(slot, None)
        if before is not None:
            before.replaced = True
            self._stop(slot, before.running - {0})
        asked = {
            "analysis": analysis,
            "text": text,
            "metric": metric,
            "params": params,
            "bare": bare,
        }
        divides = analysis in ANALYSES and bool(ANALYSES[analysis].cells)
        if divides and 0 in self._there() and len(self._there()) > 1:
            job = self._jobs[slot] = SharedJob(slot, asked, cells)
            self._divide(job)
            number = job.number
        else:
            number = self._clients[0].run(slot, **asked, cells=cells)
        return self._rest(number)

    def plan(self, *asked: Any, **named: Any) -> int:
        """Ask the first engine what ``run`` would take of it alone."""
        return self._rest(self._clients[0].plan(*asked, **named))

    def tokenize(self, *asked: Any, **named: Any) -> int:
        """Ask the first engine which tokens a text is as a prompt."""
        return self._rest(self._clients[0].tokenize(*asked, **named))

    def split(self, *asked: Any) -> int:
        """Ask the first engine which tokens a text is inside a text."""
        return self._rest(self._clients[0].split(*asked))

    def vocabulary(self, slot: str) -> int:
        """Ask the first engine for the strings of all tokens."""
        return self._rest(self._clients[0].vocabulary(slot))

    def cancel(self, slot: str | None = None) -> None:
        """Cancel the job of ``slot``, or every analysis. Its last event will be Stopped."""
        for name, job in self._jobs.items():
            job.cancelled |= slot in (None, name)
        for client in self._clients:
            client.cancel(slot)
        self._rest()

    def aside(self, slots: Collection[str]) -> None:
        """Nobody looks at these slots: the jobs of all others go before theirs."""
        for client in self._clients:
            client.aside(slots)

    # -- one grid on several engines ----------------------------------------------------------------

    def _divide(self, job: SharedJob) -> None:
        """Ask every engine that is there, and has not refused, for its share of what is not known."""
        there = [at for at in self._there() if at not in job.refused and not job.ending]
        if not there:
            self._end(job, protocol.Stopped(job.number))
        for at, share in job.begin(there):
            number = self._clients[at].run(job.slot, **job.asked, cells=job.cells, share=share)
            self._numbers[at, number] = job
            job.number = job.number or number

    def _of_share(self, job: SharedJob, at: int, event: protocol.Event) -> None:
        if isinstance(event, protocol.Begun) and not job.begun:
            job.begun = True
            self._tell(job, event)
        last = event.last if isinstance(event, protocol.Stopped) else event
        if isinstance(last, protocol.Progress) and not job.over:
            self._tell(job, job.gone_on(at, last))
        if isinstance(event, protocol.Finished):
            self._end(job, replace(event, result=replace(event.result, elapsed_s=job.took)))
        elif isinstance(event, protocol.Failed) and at == 0:
            self._end(job, event)
        elif isinstance(event, protocol.Failed) and not job.over:
            job.refused.add(at)
            self._say(f"{self._devices[at]}: {event.message} Its cells are computed by the others.")
        if isinstance(event, (protocol.Finished, protocol.Failed, protocol.Stopped)):
            self._share_ended(job, at)

    def _share_ended(self, job: SharedJob, at: int) -> None:
        job.running.discard(at)
        if not job.running and not job.over:
            self._divide(job)

    def _end(self, job: SharedJob, event: protocol.Event) -> None:
        if job.over:
            return
        job.over = True
        if self._jobs.get(job.slot) is job:
            del self._jobs[job.slot]
        self._tell(job, event)
        if not job.replaced and job.slot not in self._jobs:
            self._stop(job.slot, job.running)

    def _stop(self, slot: str, engines: Collection[int]) -> None:
        for at in tuple(engines):
            self._clients[at].cancel(slot)

    def _tell(self, job: SharedJob, event: Any) -> None:
        told = replace(event, job=job.number)
        self.listener(job.slot, Late(told) if job.replaced else told)

    # -- what the engines say -----------------------------------------------------------------------

    def _hear(self, at: int, slot: str, event: protocol.Event | Lost | Late) -> None:
        own = event.event if isinstance(event, Late) else event
        if isinstance(own, Lost):
            self._lost(at, own)
        elif slot == _MODEL_SLOT:
            self._of_model(at, own)
        else:
            job = self._numbers.get((at, getattr(own, "job", 0)))
            newest = self._jobs.get(slot)
            if job is None and not isinstance(event, Late) and newest and at in newest.running:
                job = newest  # its engine was ended and has the job under another number
            if job is not None:
                self._of_share(job, at, own)
            elif at == 0:
                self.listener(slot, event)
        self._rest()

    def _of_model(self, at: int, event: protocol.Event) -> None:
        if isinstance(event, protocol.Ready):
            self._models[at] = event.model
            self._ready = self._ready if at else event
        elif at == 0:
            self.listener(_MODEL_SLOT, event)
        elif isinstance(event, protocol.Loading) and self._ready is not None:
            stage = f"{self._devices[at]}: {event.stage}"
            self.listener(_MODEL_SLOT, replace(event, job=self._ready.job, stage=stage))
        if not isinstance(event, _ENDS):
            return
        if isinstance(event, protocol.Failed) and at:
            self._say(f"{self._devices[at]} takes no part: {event.message} {event.remedy}".strip())
        if at == 0 and not isinstance(event, protocol.Ready):
            self._back_to_the_first()
        self._answered(at)

    def _answered(self, at: int) -> None:
        """It has loaded, or will not: the first is ready once all have answered."""
        self._loading.discard(at)
        if self._ready is not None and not self._loading:
            ready, self._ready = self._ready, None
            self.listener(_MODEL_SLOT, ready)
            self._tell_who_refuses()
        if not self._loading:
            self._say()

    def _back_to_the_first(self) -> None:
        """The first has kept its model: so do the others."""
        request = self._clients[0].model_request
        if request is None:
            return
        kept = {name: getattr(request, name) for name in request.__struct_fields__ if name != "job"}
        for at in range(1, len(self._devices)):
            self._clients[at].load(**kept | {"device": self._devices[at]})

    def _tell_who_refuses(self) -> None:
        for at, device in enumerate(self._devices):
            why = at in self._models and why_not_of_one_grid((self._models[0], self._models[at]))
            if why:
                self._say(f"{device} takes no part: {why}")

    def _lost(self, at: int, event: Lost) -> None:
        self._models.pop(at, None)
        hit = {job for (own, _), job in self._numbers.items() if own == at and at in job.running}
        self._numbers = {key: job for key, job in self._numbers.items() if key[0] != at}
        if at == 0:
            if at in self._loading:
                self._back_to_the_first()
            self._ready = None
            self._first_lost(event)
        else:
            self._say(event.of_device(self._devices[at]))
        self._answered(at)
        for job in hit:
            self._share_ended(job, at)

    def _first_lost(self, event: Lost) -> None:
        """What others have a share of goes on without it."""
        others = len(self._there()) > 0
        going = [job for job in self._jobs.values() if others and not job.ending]
        slots = tuple(job.slot for job in going)
        lost = dict.fromkeys(slot for slot in (*event.slots, *self._jobs) if slot not in slots)
        for job in tuple(self._jobs.values()):
            if job not in going:
                job.over = True
                del self._jobs[job.slot]
                self._stop(job.slot, job.running - {0})
        self.listener("", event.of(tuple(lost), slots))

    def _there(self) -> list[int]:
        """The engines that have the model, the first one's or that of the first that is left."""
        return [] if self._loading else of_one_grid(self._models, len(self._devices))

    def _say(self, what: str = "") -> None:
        """Tell which engines share the grids, if they are others than before, and what has happened."""
        devices = tuple(self._devices[at] for at in self._there())
        if what or devices != self._told:
            self._told = devices
            self.listener("", SharedDevices(devices, len(self._devices), what))

    def _add(self) -> None:
        at, log = len(self._clients), engine_log()
        log = log.with_name(f"{log.stem}-{at}{log.suffix}") if at else log
        hear = partial(self._hear, at)
        self._clients.append(EngineClient(hear, command=self._command, log_path=log))

    def _rest(self, number: int = 0) -> int:
        """``number``, once it is known whether anything is under way."""
        for key, job in tuple(self._numbers.items()):
            if job.over and key[0] not in job.running:
                del self._numbers[key]
        if all(client.idle.is_set() for client in self._clients):
            self.idle.set()
        else:
            self.idle.clear()
        return number
