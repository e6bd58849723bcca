"""The signal by which another process stops a sweep, so that what it has computed is written first.

Where this process heeds an interrupt, as at a terminal, it is that. One that was begun with interrupts
ignored (``&`` in a script) is to go on when Ctrl+C ends what is in front, and hears SIGTERM instead.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NO_SIGNAL = 0


@contextmanager
def heeded_signal() -> Iterator[int]:
    """The signal that raises ``KeyboardInterrupt`` where the block is; ``NO_SIGNAL``: none does.

    In the block SIGTERM, which otherwise ends a process at once, does it too: ``kill`` and the end of a
    cluster's job lose nothing. A handler of the program's own stays, and is back behind the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield NO_SIGNAL  # signals are for what runs in the main one
        return
    interrupts = callable(signal.getsignal(signal.SIGINT))
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield signal.SIGINT if interrupts else NO_SIGNAL
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield signal.SIGINT if interrupts else signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def handler_kept() -> Iterator[None]:
    """What this process does at SIGTERM is the same behind the block: Ray takes the signal as it starts."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
