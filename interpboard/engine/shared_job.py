"""One grid that several engines compute: which have a share of it under way, and how far all are."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from interpboard.engine import protocol
from interpboard.results import Cells, LabelledArray
from interpboard.results.partial import joined_arrays, joined_cells


class SharedJob:
    """What was ``asked`` in ``slot``, with the ``cells`` that are known. ``number``: its owner's for it.

    ``running``: engines whose share is not computed; ``refused``: those that failed at it. ``cancelled`` and
    ``replaced``: by its owner. ``over``: its last event is told.
    """

    def __init__(self, slot: str, asked: dict[str, Any], cells: Cells | None) -> None:
        self.slot, self.asked, self.cells = slot, asked, cells
        self.number = 0
        self.running: set[int] = set()
        self.refused: set[int] = set()
        self.begun = self.cancelled = self.replaced = self.over = False
        self._started = time.monotonic()
        self._partial: LabelledArray | None = None
        self._done = 0
        self._known = -1  # cells, as the round before began
        self._last: dict[int, protocol.Progress] = {}  # of each engine in this round
        self._new: dict[int, int] = {}  # cells that each has computed in it

    @property
    def ending(self) -> bool:
        """Nobody waits for it any more."""
        return self.cancelled or self.replaced

    @property
    def took(self) -> float:
        """Seconds until now."""
        return time.monotonic() - self._started

    def begin(self, engines: list[int]) -> list[tuple[int, tuple[int, int] | None]]:
        """A round of these, each with its share. Where the last one brought no cell, the first does all."""
        known = len(self.cells) if self.cells is not None else 0
        stands, self._known = known == self._known, known
        engines = engines[:1] if stands else engines
        self.running, self._last, self._new = set(engines), {}, dict.fromkeys(engines, 0)
        return [(at, None if stands else (n, len(engines))) for n, at in enumerate(engines)]

    def gone_on(self, at: int, told: protocol.Progress) -> protocol.Progress:
        """``told`` by the engine ``at``, as of all of them."""
        if told.cells is not None:
            self._new[at] = self._new.get(at, 0) + len(told.cells)
            self.cells = joined_cells(self.cells, [told.cells])
        self._last[at] = told
        if told.partial is not None:
            self._partial = joined_arrays(self._partial, told.partial)
        most = max(self._last, key=lambda own: self._last[own].done)
        others = sum(new for own, new in self._new.items() if own != most)
        done = self._done = max(self._done, min(told.total, self._last[most].done + others))
        return msgspec.structs.replace(
            told,
            done=done,
            partial=self._partial if told.partial is not None else None,
            left_s=self._left(done, told.total),
            expected=all(last.expected for last in self._last.values()),
        )

    def _left(self, done: int, total: int) -> float | None:
        """Seconds: each engine says how long all that it has not done would take it alone."""
        paces = [
            (last.total - last.done) / last.left_s for last in self._last.values() if last.left_s
        ]
        return (total - done) / sum(paces) if sum(paces) > 0 else None
