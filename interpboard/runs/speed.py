"""How quick a model is at edited runs here: what a job will take is said before its first step."""

from __future__ import annotations


class Speed:
    """Of one loaded model. Work is counted in tokens times layers; large jobs count for more than small."""

    def __init__(self) -> None:
        self._work = 0.0
        self._seconds = 0.0

    @property
    def known(self) -> bool:
        """Whether anything was timed yet."""
        return self._work > 0

    def took(self, work: float, seconds: float) -> None:
        """Hear that ``work`` tokens times layers took so many ``seconds``."""
        self._work += work
        self._seconds += seconds

    def seconds(self, work: float) -> float | None:
        """What ``work`` will take, in seconds; None before anything was timed."""
        return self._seconds * work / self._work if self.known else None
