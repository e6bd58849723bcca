"""Several engines on one prompt: one a device, the cells of a grid divided between them.

Each engine computes its share of the cells that an analysis asks for next and hands over what it has as it
comes; then each is given all of them, and goes on to what the analysis asks for behind them, until one gives
the whole result. So what depends on earlier cells (pairs of the strongest heads) is divided, too, and no
engine needs to know of another. The cells of an engine that dies are computed by those that are left.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from interpboard.config import engine_log
from interpboard.engine import protocol
from interpboard.engine.client import EngineClient
from interpboard.engine.late import Late
from interpboard.engine.lost import Lost
from interpboard.engine.one_grid import why_not_of_one_grid
from interpboard.errors import InterpBoardError
from interpboard.registry import ANALYSES, Overview
from interpboard.results import Cells, Chat, Document, MetricRequest, ModelInfo, PromptInfo, Result
from interpboard.results.partial import joined_cells

_SLOT = "divided"
_ENGINE = (sys.executable, "-m", "interpboard.engine.worker")
OnCells = Callable[[str, int, int], None]


class EngineFailed(InterpBoardError):
    """What an engine said instead of a result: its ``kind``, and of a fault of ours the ``traceback``."""

    def __init__(self, kind: str, message: str, remedy: str = "", traceback: str = "") -> None:
        super().__init__(message, remedy)
        self.kind = kind
        self.traceback = traceback


@dataclass(frozen=True)
class _Answer:
    """How a job of one engine ended: its result, or that its share is done; and the cells it computed."""

    cells: Cells | None
    finished: protocol.Finished | None = None


class _Engine:
    """One engine, one job at a time. ``lost``: how it died."""

    def __init__(
        self, number: int, device: str, command: Sequence[str], on_cells: Callable[[], None]
    ) -> None:
        self.device = device
        self.lost: Lost | None = None
        self.computed = 0
        self._on_cells = on_cells
        self._cells: list[Cells] = []
        self._answer: asyncio.Future[protocol.Event | Lost] | None = None
        log = engine_log()
        own_log = log.with_name(f"{log.stem}-{number}{log.suffix}")
        self.client = EngineClient(self._hear, command=command, log_path=own_log, restarts=False)

    async def open(self, options: Mapping[str, Any]) -> ModelInfo:
        self._answer = asyncio.get_running_loop().create_future()
        self.client.load(device=self.device, **options)
        event = await self._answer
        if isinstance(event, Lost):
            self.lost = event
            raise _died(self.device, event)
        if not isinstance(event, protocol.Ready):
            raise _failed(event)
        return event.model

    async def run(self, **asked: Any) -> _Answer:
        """Raises ``EngineFailed``. Of an engine that dies what it told before counts."""
        self._answer, self._cells = asyncio.get_running_loop().create_future(), []
        self.client.run(_SLOT, **asked)
        event = await self._answer
        cells = joined_cells(None, self._cells)
        if isinstance(event, Lost):
            self.lost = event
            return _Answer(cells)
        if isinstance(event, protocol.Failed):
            raise _failed(event)
        return _Answer(cells, event if isinstance(event, protocol.Finished) else None)

    def _hear(self, slot: str, event: protocol.Event | Lost | Late) -> None:
        told = event.last if isinstance(event, protocol.Stopped) else event
        if isinstance(told, protocol.Progress) and told.cells:
            self._cells.append(told.cells)
            self.computed += len(told.cells)
            self._on_cells()
        ends = (protocol.Ready, protocol.Finished, protocol.Failed, protocol.Stopped, Lost)
        if isinstance(event, ends) and self._answer is not None and not self._answer.done():
            self._answer.set_result(event)


class DividedEngines:
    """``async with DividedEngines(("cuda:0", "cuda:1"), model="gpt2") as engines``: a model in each.

    ``devices``: one engine for each; the same may be named more than once (processes on one CPU).
    ``options``: those of ``EngineClient.load``. ``on_progress(what, done, total)`` hears the cells of all.
    """

    def __init__(
        self,
        devices: Sequence[str],
        *,
        on_progress: OnCells | None = None,
        command: Sequence[str] = _ENGINE,
        **options: Any,
    ) -> None:
        self._options = options
        self._on_progress = on_progress
        self._engines = [
            _Engine(i, device, command, self._tell) for i, device in enumerate(devices)
        ]
        self._what = ""

    async def __aenter__(self) -> DividedEngines:
        try:
            await asyncio.gather(*(engine.client.start() for engine in self._engines))
            self.models = await asyncio.gather(*(e.open(self._options) for e in self._engines))
            require_one_model(self.models)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._end()

    @property
    def computed(self) -> tuple[int, ...]:
        """How many cells each engine has computed."""
        return tuple(engine.computed for engine in self._engines)

    @property
    def pids(self) -> tuple[int | None, ...]:
        """The process of each engine."""
        return tuple(engine.client.pid for engine in self._engines)

    async def document(
        self,
        text: str | Chat,
        analyses: Sequence[str],
        metric: MetricRequest = MetricRequest(),  # noqa: B008 - frozen
        params: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Document:
        """``analyses`` of one prompt, as ``interpboard.analyze.analyze`` gives them: grids divided between
        the engines, everything else by one of them. Of an overview what the model does not have is left out.
        Raises ``EngineFailed``."""
        found: dict[str, protocol.Finished] = {}
        for name in analyses:
            asked = {
                "analysis": name,
                "text": text,
                "metric": metric,
                "params": (params or {}).get(name, {}),
            }
            self._what = ANALYSES[name].title if name in ANALYSES else name
            try:
                found[name] = await self._result(asked)
            except EngineFailed as error:
                if error.kind != "unsupported" or not isinstance(analyses, Overview):
                    raise
        if not found:
            raise EngineFailed(
                "unsupported", "The model supports none of the analyses that were asked for."
            )
        results: list[Result] = [each.result for each in found.values()]
        prompt: PromptInfo = next(iter(found.values())).prompt
        return Document(model=self.models[0], prompt=prompt, results=tuple(results))

    async def _result(self, asked: Mapping[str, Any]) -> protocol.Finished:
        name, cells = asked["analysis"], None
        started = time.perf_counter()
        divides = name in ANALYSES and bool(ANALYSES[name].cells)
        while True:
            engines = [engine for engine in self._engines if engine.lost is None]
            if not engines:
                raise _died(*next((e.device, e.lost) for e in self._engines if e.lost is not None))
            if not divides:
                engines = engines[:1]
            shares = [(at, len(engines)) if divides else None for at in range(len(engines))]
            answers = await asyncio.gather(
                *(
                    engine.run(**asked, cells=cells, share=share)
                    for engine, share in zip(engines, shares, strict=True)
                )
            )
            for answer in answers:
                if answer.finished is not None:
                    took = time.perf_counter() - started
                    result = replace(answer.finished.result, elapsed_s=took)
                    return replace(answer.finished, result=result)
            before = len(cells) if cells is not None else 0
            more = [answer.cells for answer in answers if answer.cells is not None]
            cells = joined_cells(cells, more)
            stands = (len(cells) if cells is not None else 0) == before
            if stands and all(engine.lost is None for engine in engines):
                raise RuntimeError(f"{name} computes no further cells and gives no result")

    def _tell(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self._what, sum(self.computed), 0)

    async def _end(self) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*(engine.client.stop() for engine in self._engines))


def require_one_model(models: Sequence[ModelInfo]) -> None:
    """Raise ``EngineFailed`` unless the cells of all ``models`` are of one grid: of the same weights, in the
    same number format, on devices of one kind."""
    for model in models[1:]:
        why = why_not_of_one_grid((models[0], model))
        if why:
            raise EngineFailed("bad_device", why, "Name devices of one kind, or give --dtype.")


def _failed(event: protocol.Event) -> EngineFailed:
    if isinstance(event, protocol.Failed):
        return EngineFailed(event.kind, event.message, event.remedy, event.traceback)
    return EngineFailed("stopped", "The engine was stopped.")


def _died(device: str, lost: Lost) -> EngineFailed:
    last = f": {lost.log_tail[-1]}" if lost.log_tail else ""
    return EngineFailed("engine_died", f"The engine on {device} ended ({lost.reason}){last}.")
