"""When garbage is looked for among all that lives: while nobody types.

Such a look takes the loop as long as three keys may wait; where they come in a run one of them would meet it.
"""

from __future__ import annotations

import asyncio
import gc

QUIET_S = 2.0  # without a key
DUE = 10  # looks at the younger ones, after which Python would look at all
SELDOM = 200  # after which it does even while somebody types


class QuietCollector:
    """Switched off for the start, and what lives when it begins lives on."""

    def __init__(self) -> None:
        self._pressed_at = 0.0
        self._call: asyncio.Handle | None = None

    def begin(self) -> None:
        """From now on there is garbage worth looking for."""
        if not gc.isenabled():
            gc.freeze()
            young, middle, _ = gc.get_threshold()
            gc.set_threshold(young, middle, SELDOM)
            gc.enable()

    def pressed(self) -> None:
        """Somebody types."""
        loop = asyncio.get_running_loop()
        self._pressed_at = loop.time()
        if self._call is None:
            self._call = loop.call_later(QUIET_S, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        left = self._pressed_at + QUIET_S - loop.time()
        self._call = loop.call_later(left, self._look) if left > 0 else None
        if self._call is None and gc.get_count()[2] >= DUE:
            gc.collect()
