"""What the engine's owner knows of a job that it sent, or is about to send."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec

from interpboard.engine import protocol
from interpboard.results.partial import joined_cells


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

    @property
    def with_cells(self) -> protocol.EngineJob:
        """The request, with every cell that is known by now."""
        if not isinstance(self.request, protocol.RunAnalysis) or not self.cells:
            return self.request
        return msgspec.structs.replace(
            self.request, cells=joined_cells(self.request.cells, self.cells)
        )
