"""That the engine's process ended by itself: its owner tells it, beside the engine's own events."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lost:
    """The process ended by itself, or was ended for a ``fault`` of its own. ``slots`` lost their job.
    ``restarting``: a new one is on its way."""

    exit_code: int
    log_tail: tuple[str, ...]
    slots: tuple[str, ...]
    restarting: bool
    fault: str = ""

    @property
    def reason(self) -> str:
        """The fault, or the exit code in words."""
        if self.fault:
            return self.fault
        code = self.exit_code
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
