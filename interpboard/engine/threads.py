"""How the engine shares the CPU: how torch's threads wait for each other, and who goes first."""

from __future__ import annotations

import contextlib
import os

BEHIND = (
    5  # of 19: beside an app that wants the core the engine has a quarter of it, alone all of it
)


def let_threads_sleep() -> None:
    """Between kernels, sleep instead of spinning. Call it before torch is imported.

    Spinning threads hold cores that somebody else wants: with another program on the same two cores
    the demo's four analyses took 4.9 s by spinning and 0.3 s by sleeping, start-up not counted. A
    value set by the user stands.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def let_the_app_go_first() -> None:
    """Where both want a core the app has it: a key is drawn in milliseconds, a grid takes seconds."""
    with contextlib.suppress(AttributeError, OSError):  # no priorities here, or none to give
        os.nice(BEHIND)
