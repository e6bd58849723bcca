"""What the engine's owner knows of a job that it sent, or is about to send."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec

from interpboard.engine import protocol
from interpboard.results.partial import joined_cells

_TOLD_OF_CANCELLED = (protocol.Begun, protocol.Progress, protocol.Stopped, protocol.Finished)


@dataclass
class SentJob:
    """``cells``: computed since it was sent. ``killer`` ends an engine that does not hear a cancel."""

    number: int
    slot: str
    request: protocol.EngineJob
    sent: bool = False
    cancelled: bool = False
    cells: list[protocol.Cells] = field(default_factory=list)  # computed since it was sent
    killer: asyncio.TimerHandle | None = None

    def told(self, event: protocol.Event) -> protocol.Event | None:
        """What is told of ``event``. Of a cancelled job what it had computed, which was on its way by then,
        and its end; a failure is no news any more."""
        if not self.cancelled or isinstance(event, _TOLD_OF_CANCELLED):
            return event
        return protocol.Stopped(self.number) if isinstance(event, protocol.Failed) else None

    @property
    def with_cells(self) -> protocol.EngineJob:
        """The request, with every cell that is known by now."""
        if not isinstance(self.request, protocol.RunAnalysis) or not self.cells:
            return self.request
        return msgspec.structs.replace(
            self.request, cells=joined_cells(self.request.cells, self.cells)
        )
