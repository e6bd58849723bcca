"""What an engine's owner tells beside the engine's own events: that its process ended by itself, and, where
several engines share the grids, which they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Lost:
    """The process ended by itself, or was ended for a ``fault`` of its own. ``slots`` lost their job.
    ``restarting``: a new one is on its way. ``going_on``: slots whose job other engines go on with."""

    exit_code: int
    log_tail: tuple[str, ...]
    slots: tuple[str, ...]
    restarting: bool
    fault: str = ""
    going_on: tuple[str, ...] = ()

    def named(self, own: Callable[[str], str | None]) -> Lost:
        """The same for one of several who share the engine: its ``own`` names of slots; None: not its own."""
        slots, going_on = (
            tuple(name for name in map(own, names) if name is not None)
            for names in (self.slots, self.going_on)
        )
        return self.of(slots, going_on)

    def of(self, slots: tuple[str, ...], going_on: tuple[str, ...]) -> Lost:
        """The same, of the jobs of these slots."""
        return replace(self, slots=slots, going_on=going_on)

    def of_device(self, device: str) -> str:
        """What is said of it where others share its work."""
        own_end = self.last_lines[-1:] if self.exit_code > 0 else ()
        again = "It is started again." if self.restarting else "It is not started again."
        parts = (
            f"The engine on {device} ended ({self.reason}).",
            *own_end,
            "The others go on.",
            again,
        )
        return " ".join(parts)

    @property
    def last_lines(self) -> tuple[str, ...]:
        """Of its log, without bars of progress."""
        lines = [line.rsplit("\r", 1)[-1].strip() for line in self.log_tail]
        return tuple(line for line in lines if line and "%|" not in line)

    @property
    def reason(self) -> str:
        """The fault, or the exit code in words."""
        if self.fault:
            return self.fault
        code = self.exit_code
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


@dataclass(frozen=True)
class SharedDevices:
    """The ``devices`` whose engines share the grids now, of so many that were asked for. ``said``: what has
    happened to one of them, for people."""

    devices: tuple[str, ...]
    asked: int
    said: str = ""
