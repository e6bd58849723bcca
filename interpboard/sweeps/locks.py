"""Who may write to the folder of a sweep: one process, and the workers that it started.

Workers that were left alone by a process that was killed write what they have; until then nobody goes on,
for what they compute would be there twice.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from interpboard.errors import BadParameter

WORKERS_END = 10.0  # seconds in which workers that were left alone have written what they had


@contextmanager
def alone(path: Path, wait: float = WORKERS_END) -> Iterator[None]:
    """While open, no other process writes to the folder ``path`` but workers of this one (``among_workers``).

    Raises ``BadParameter`` where one does. Workers that were left alone are waited for, ``wait`` seconds.
    """
    with (path / ".lock").open("wb") as lock:
        _lock(lock, path)
        with (path / ".workers").open("wb") as workers:
            _lock(workers, path, wait)
        yield


@contextmanager
def among_workers(path: Path) -> Iterator[None]:
    """While open, this process writes to the folder ``path`` for another, which has it ``alone``."""
    with (path / ".workers").open("wb") as workers:
        fcntl.flock(workers, fcntl.LOCK_SH)
        yield


def _lock(file: BinaryIO, path: Path, within: float = 0.0) -> None:
    until = time.monotonic() + within
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if time.monotonic() >= until:
                raise BadParameter(
                    f"Another sweep writes to {path}.", "Wait for it, or name another folder."
                ) from None
        time.sleep(0.05)
