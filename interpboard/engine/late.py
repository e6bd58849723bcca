"""What comes of a job when a newer one has taken its slot: its cells are computed, and must not be lost."""

from __future__ import annotations

from dataclasses import dataclass

from interpboard.engine import protocol


@dataclass(frozen=True)
class Late:
    """``event`` is of a job that was replaced: nothing to show, and perhaps something to keep."""

    event: protocol.Event
