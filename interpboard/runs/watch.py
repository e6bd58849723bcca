"""How a computation tells how far it is, and hears that nobody wants it any more."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from interpboard.errors import Cancelled
from interpboard.results import LabelledArray
from interpboard.runs.kept import KeptCells
from interpboard.runs.speed import Speed

_T = TypeVar("_T")


class Pace(NamedTuple):
    """What timed steps say of the cells that are under way: seconds left, cells left, seconds a cell.

    ``expected``: judged by the steps of earlier jobs, or by one that was smaller than the others will be.
    """

    left_s: float
    cells_left: int
    a_cell_s: float
    expected: bool = False


class Postponed(Exception):
    """Something that is sooner done waits; what is computed is kept."""


def _nobody(_done: int, _total: int, _partial: LabelledArray | None) -> None:
    pass


def _untold(_pace: Pace) -> None:
    pass


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Watch:
    """``on_progress(done, total, partial)``; ``cancelled()`` is asked at every step.

    ``on_pace`` hears how long the cells under way still take. ``kept`` has those that are computed, so that
    they are not computed again. ``gives_way()`` is asked between steps: is something else to be done first?
    ``speed``: what earlier jobs on this model took; this one's steps are added to it.
    """

    on_progress: Callable[[int, int, LabelledArray | None], None] = _nobody
    cancelled: Callable[[], bool] = _never
    on_pace: Callable[[Pace], None] = _untold
    kept: KeptCells | None = None
    gives_way: Callable[[], bool] = _never
    speed: Speed | None = None

    def check(self) -> None:
        """Raise ``Cancelled`` if asked to stop."""
        if self.cancelled():
            raise Cancelled

    def step(self, done: int, total: int, partial: LabelledArray | None = None) -> None:
        """Report ``done`` of ``total``; raises ``Cancelled`` if asked to stop, ``Postponed`` to give way."""
        self.on_progress(done, total, partial)  # first: what is done is done, stopped or not
        self.pause()

    def pause(self) -> None:
        """Between two parts of the work: raises ``Cancelled``, or ``Postponed``, as ``step`` does."""
        self.check()
        if self.gives_way():
            raise Postponed

    @property
    def silent(self) -> Watch:
        """The same for a part of the work whose progress is told elsewhere."""
        return replace(self, on_progress=_nobody)

    @property
    def insistent(self) -> Watch:
        """The same for a part of the work that could not be gone on with: it gives way to nothing."""
        return replace(self, gives_way=_never)

    def once(self, name: str, make: Callable[[], _T]) -> _T:
        """What ``make`` gives; not made again where the same request is taken up again."""
        return make() if self.kept is None else self.kept.once(name, make)

    def independent(self) -> AbstractContextManager[None]:
        """Around parts of the work that need nothing of one another: engines that divide the cells do so in
        all of them before any waits for another. What others compute is NaN meanwhile."""
        return nullcontext() if self.kept is None else self.kept.independent()

    def part(self, name: str) -> Watch:
        """For a whole analysis within this one: its cells are counted, and its pace judged, by itself."""
        kept = None if self.kept is None else self.kept.part(name)
        return replace(self, on_progress=_nobody, on_pace=_untold, kept=kept)

    def stage(self, before: int, total: int, *, shown: bool = True) -> Watch:
        """For a part of the work that begins when ``before`` of ``total`` steps are done.

        Not ``shown``: its partial values are of another shape than the whole's and are left out.
        """

        def pass_on(done: int, _total: int, partial: LabelledArray | None) -> None:
            self.on_progress(before + done, total, partial if shown else None)

        return replace(self, on_progress=pass_on)


SILENT = Watch()
