"""How a computation tells how far it is, and hears that nobody wants it any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from interpboard.errors import Cancelled
from interpboard.results import LabelledArray


def _nobody(_done: int, _total: int, _partial: LabelledArray | None) -> None:
    pass


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Watch:
    """``on_progress(done, total, partial)``; ``cancelled()`` is asked at every step."""

    on_progress: Callable[[int, int, LabelledArray | None], None] = _nobody
    cancelled: Callable[[], bool] = _never

    def check(self) -> None:
        """Raise ``Cancelled`` if asked to stop."""
        if self.cancelled():
            raise Cancelled

    def step(self, done: int, total: int, partial: LabelledArray | None = None) -> None:
        """Report ``done`` of ``total``; raises ``Cancelled`` if asked to stop."""
        self.check()
        self.on_progress(done, total, partial)

    def stage(self, before: int, total: int, *, shown: bool = True) -> Watch:
        """For a part of the work that begins when ``before`` of ``total`` steps are done.

        Not ``shown``: its partial values are of another shape than the whole's and are left out.
        """

        def pass_on(done: int, _total: int, partial: LabelledArray | None) -> None:
            self.on_progress(before + done, total, partial if shown else None)

        return Watch(pass_on, self.cancelled)


SILENT = Watch()
