"""Ctrl+z and its signals: the terminal is given to the shell, and painted anew when the app is back.

Textual's own handlers lose two cases. A process that is stopped by SIGSTOP has given nothing back, and
starting once more would leave two threads that read keys; and after SIGCONT nothing looks changed, so
that nothing would be painted. Signals are heard by the event loop, between two of its steps: a handler of
Python's own may come in the middle of a write to the terminal, and writing there waits for itself for ever.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from textual.driver import Driver

MOST_PARENTS = 64


def shell_waits() -> bool:
    """Is there a shell that can bring this process back: one that has made a job of its group?"""
    if not hasattr(os, "getsid"):
        return False
    group, session, pid = os.getpgrp(), os.getsid(0), os.getpid()
    for _ in range(MOST_PARENTS):
        pid = _parent(pid)
        try:
            if pid <= 1 or os.getsid(pid) != session:
                return False
            if os.getpgid(pid) != group:
                return True
        except OSError:  # it has ended, or is somebody else's
            return False
    return False


def _parent(pid: int) -> int:
    """Of this process or of any other, where the system says it; 0: not known."""
    if pid == os.getpid():
        return os.getppid()
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return int(stat.rsplit(")", 1)[1].split()[1])


class Suspension:
    """Takes over SIGTSTP and SIGCONT from ``driver``, in the event loop that runs.

    ``back`` is called once the terminal is ours again. Raises ``RuntimeError`` outside the main thread.
    """

    def __init__(self, driver: Driver, back: Callable[[], object]) -> None:
        self._driver, self._back, self._given = driver, back, False
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGTSTP, self._stop)
        self._loop.add_signal_handler(signal.SIGCONT, self._go_on)

    def begin(self) -> None:
        """Stop the whole job, so that the shell sees it; ``_go_on`` follows when it is brought back.

        The terminal is given before: others of the job stop at once, and then it is the shell's.
        """
        self._give()
        # This process is stopped by the same signal as the others. If it stopped itself behind them, a shell
        # that brings the job back in between would not bring it back: by then the SIGCONT has come and gone.
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.killpg(os.getpgrp(), signal.SIGTSTP)
        self._loop.add_signal_handler(signal.SIGTSTP, self._stop)

    def _give(self) -> None:
        if not self._given:
            self._given = True
            self._driver.suspend_application_mode()

    def _stop(self) -> None:
        self._give()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _go_on(self) -> None:
        if not self._given:  # stopped without a chance to give it back: the modes are the shell's
            self._driver.suspend_application_mode()
        self._given = False
        self._driver.resume_application_mode()
        self._back()
