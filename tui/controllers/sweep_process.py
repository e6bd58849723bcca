"""The process of a sweep that the app begins."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Protocol

from interpboard.display import visible

_BEHIND = 10  # niceness: the engine is at 5
_OWN = 4096  # bytes of what a process said last


class SweepProcess(Protocol):
    """A process that sweeps."""

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""


Spawn = Callable[[Sequence[str], IO[bytes]], SweepProcess]
"""Starts ``interpboard`` with these words; what it says goes into the file."""


def spawn_sweep(words: Sequence[str], said: IO[bytes]) -> SweepProcess:
    """In a session of its own: neither Ctrl+C nor the end of the terminal reaches it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "interpboard", *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True,
    )  # fmt: skip
    with suppress(OSError):  # it may be gone already
        os.setpriority(os.PRIO_PROCESS, process.pid, _BEHIND)
    return process


def error_of(said: IO[bytes]) -> str:
    """The last thing that a process said: its error."""
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - _OWN))
    lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return visible((errors or lines or [""])[-1])
