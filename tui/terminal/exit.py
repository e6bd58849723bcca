"""The last way out: a terminal that is gone can block the last write to it for ever."""

from __future__ import annotations

import os
import threading

PATIENCE_S = 8.0  # for the store's last results and the engine's end


def at_the_latest(code: int) -> None:
    """End the process with ``code`` after ``PATIENCE_S``, unless it has ended by then."""
    timer = threading.Timer(PATIENCE_S, os._exit, (code,))
    timer.daemon = True
    timer.start()
