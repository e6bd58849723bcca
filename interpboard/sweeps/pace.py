"""How a sweep goes: rows, failures, rate, time left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from interpboard.sweeps.finished_rows import Counts
from interpboard.sweeps.row_results import RowResult

MAY_PASS = "for want of memory or of a package"
"""Why those results failed that are tried again, in words."""


@dataclass
class SweepPace:
    """``rows`` passed of ``of`` (None: it was not counted); ``computed`` results now, ``known`` from before.

    ``failed`` and ``reasons`` are of all results; ``passing``: how many failed now by what may pass, too
    little memory say, ``again``: how many had failed so before, and are computed anew. ``work``: seconds that
    the rows themselves took. ``lost``: of each worker that ended before its time how it did.
    """

    of: int | None
    known: int = 0
    rows: int = 0
    computed: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    passing: int = 0
    again: int = 0
    work: float = 0.0
    since: float = field(default_factory=time.monotonic)
    rows_computed: int = 0
    lost: list[str] = field(default_factory=list)

    @classmethod
    def begun(cls, rows: int | None, counts: Counts) -> SweepPace:
        """One that begins with what is there."""
        return cls(rows, counts.done, failed=counts.failed, reasons=dict(counts.reasons))

    def took(self, results: Iterable[RowResult]) -> None:
        """Hear the results of a row."""
        found = list(results)
        reasons: dict[str, int] = {}
        for result in found:
            if result.error:
                reasons[result.error] = reasons.get(result.error, 0) + 1
        passing = sum(result.again for result in found if result.error)
        self.heard(1, len(found), sum(result.seconds for result in found), reasons, passing)

    def heard(
        self, rows: int, computed: int, work: float, reasons: Mapping[str, int], passing: int
    ) -> None:
        """Hear of ``rows`` that were computed: how many results, in how many seconds, what failed and why."""
        self.passing += passing
        self.rows += rows
        self.rows_computed += rows
        self.computed += computed
        self.work += work
        for reason, number in reasons.items():
            self.failed += number
            self.reasons[reason] = self.reasons.get(reason, 0) + number

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.since

    @property
    def rate(self) -> float:
        """Rows a second, of those that were computed; 0: none yet."""
        return self.rows_computed / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds left, if every row takes as long; None: not known."""
        if self.of is None or not self.rows_computed or self.rate == 0:
            return None
        return max(0, self.of - self.rows) / self.rate
