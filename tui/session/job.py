"""How far an analysis is that was asked for."""

from __future__ import annotations

from dataclasses import dataclass

LONG_S = 10.0
SHORT_S = 1.0


@dataclass(frozen=True)
class Job:
    """A running or waiting analysis. ``total=0``: it has not begun. ``title``: if not the analysis' own.

    ``left_s``: how long it still takes, judged by the steps that were timed, None before the first of them;
    ``expected``: by those of earlier jobs; ``whole_s``: the same when it was first known. ``unit``: what is
    counted, where cells are. ``runs``: it was heard of last; one that has begun may give way to another.
    """

    done: int = 0
    total: int = 0
    title: str = ""
    left_s: float | None = None
    expected: bool = False
    whole_s: float | None = None
    unit: str = ""
    runs: bool = False

    @property
    def fraction(self) -> float:
        """0 … 1."""
        return self.done / self.total if self.total else 0.0

    @property
    def tells_time(self) -> bool:
        """Is what it still takes worth saying? It is known, and not over before it is read."""
        return self.left_s is not None and self.left_s >= SHORT_S

    @property
    def long(self) -> bool:
        """Does it take so long that one might not want it?"""
        return self.whole_s is not None and self.whole_s > LONG_S
