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
    """Where both want a core the app has it: a key is drawn in milliseconds, a grid takes seconds.

    As a batch job the engine's threads also interrupt nobody when they wake, a thousand times a second where
    they wait for each other: 3 ms of work of another process took 4.3 ms beside them, 3.6 then, and at 95 %
    8 to 10 ms, 5 to 7 then. Alone they lose nothing.
    """
    with contextlib.suppress(AttributeError, OSError):  # no priorities here, or none to give
        os.nice(BEHIND)
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
