"""What the engine remembers of jobs that did not run to their end: nothing of them is computed twice."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interpboard.results import Cells
    from interpboard.runs.kept import KeptCells

MOST_STOPPED = 4


class KeptJobs:
    """Of those that gave way and wait once more all that they had, by number; of those that were stopped
    the cells, by what was asked: the same may be asked again before its owner has heard of all of them."""

    def __init__(self) -> None:
        self._given_way: dict[int, KeptCells] = {}
        self._stopped: dict[str, Cells] = {}

    def take(self, job: int, request: str, known: Cells | None) -> KeptCells:
        """What is kept for ``job``, whose owner knows the cells ``known`` of ``request``."""
        from interpboard.runs.kept import KeptCells

        kept = self._given_way.pop(job, None)
        if kept is None or kept.request != request:  # another model may be there by now
            kept = KeptCells(request, known)
            kept.learn(self._stopped.pop(request, None))
        return kept

    def gave_way(self, job: int, kept: KeptCells) -> None:
        """``job`` waits once more."""
        self._given_way[job] = kept

    def was_stopped(self, kept: KeptCells) -> None:
        """Its owner may ask for the same again."""
        self._stopped[kept.request] = kept.cells
        for oldest in list(self._stopped)[:-MOST_STOPPED]:
            del self._stopped[oldest]

    def forget_all_but(self, jobs: Collection[int]) -> None:
        """Only these still wait; the others were stopped."""
        for gone in set(self._given_way) - set(jobs):
            self.was_stopped(self._given_way.pop(gone))
