"""What a worker tells of its shards over a process's border, its failures too: as exceptions they would
become pages on the way."""

from __future__ import annotations

import msgspec

from interpboard import errors
from interpboard.errors import InterpBoardError, WorkerLost
from interpboard.sweeps.pace import SweepPace

STAYS = "What was computed stays; --workers 1 says more."


class WorkerFailure(msgspec.Struct, frozen=True):
    """An error, told over a process's border."""

    name: str
    message: str
    remedy: str = ""

    @classmethod
    def of(cls, error: Exception) -> WorkerFailure:
        """``error``, or of one that is not ours its kind and first line."""
        if isinstance(error, InterpBoardError):
            return cls(type(error).__name__, error.message, error.remedy)
        said = str(error).strip().splitlines()
        return cls("", f"{type(error).__name__}{': ' if said else ''}{said[0] if said else ''}")

    @property
    def error(self) -> InterpBoardError:
        """The same error, or that a worker failed where it is not one of ours."""
        kind = getattr(errors, self.name, None) if self.name else None
        if kind is not None:
            return kind(self.message, self.remedy)
        return WorkerLost(f"A worker failed by {self.message}.", STAYS)


class Told(msgspec.Struct, frozen=True):
    """How a shard went; see ``SweepPace.heard``."""

    rows: int = 0
    computed: int = 0
    work: float = 0.0
    reasons: dict[str, int] = {}
    passing: int = 0
    failed: WorkerFailure | None = None

    def heard_by(self, pace: SweepPace) -> None:
        """Add it to ``pace``. Raises what the worker failed by, ``WorkerLost`` for a fault."""
        if self.failed is not None:
            raise self.failed.error
        pace.heard(self.rows, self.computed, self.work, self.reasons, self.passing)
