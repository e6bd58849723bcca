"""The app in a terminal of its own, pressed and read from outside: what benchmarks/app.py measures with."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
APP = "import sys; from interpboard.cli.main import main; sys.exit(main(sys.argv[1:]))"
# Compiled once and kept, as where the package is installed: compiling all of it takes 0.1 s at every start.
BYTECODE = tempfile.TemporaryDirectory(prefix="interpboard-bytecode-")
RESTED_S = 0.25  # silence after which a key has no more consequences
AT_ONCE_S = 0.04  # what is written so soon after a key's first byte answers the key itself


class Answer(NamedTuple):
    """Milliseconds to the first byte, bytes of the answer itself, and with all that follows it."""

    ms: float
    own: int
    all: int


class Terminal:
    """The app in a pty. ``read`` collects what it writes. ``tree``: a copy that has its bytecode."""

    def __init__(
        self, size: tuple[int, int], state: str, *args: str, tree: Path | None = None
    ) -> None:
        columns, rows = size
        shape = struct.pack("HHHH", rows, columns, 0, 0)
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, shape)
            keep = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
            for name in ("NO_COLOR", "TMUX", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH"):
                keep.pop(name, None)
            keep["INTERPBOARD_STATE"] = state
            keep["INTERPBOARD_CONFIG"] = f"{state}/config.toml"
            if tree is None:
                keep["PYTHONPYCACHEPREFIX"] = BYTECODE.name
            os.chdir(tree or ROOT)
            os.execve(sys.executable, [sys.executable, "-c", APP, *args], keep)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, shape)
        self.output = bytearray()

    def read(self, wait: float) -> bytes:
        """What is written within ``wait`` seconds, at the first chunk."""
        if not select.select([self.fd], [], [], wait)[0]:
            return b""
        try:
            chunk = os.read(self.fd, 1 << 16)
        except OSError:
            return b""
        self.output += chunk
        return chunk

    def until(self, *marks: bytes, timeout: float = 90.0) -> float:
        """Seconds since the start at which all ``marks`` have been written."""
        while not all(mark in self.output for mark in marks):
            self.read(0.5)
            if time.perf_counter() - self.started > timeout:
                raise TimeoutError(f"{marks} not seen; the end was {bytes(self.output[-300:])!r}")
        return time.perf_counter() - self.started

    def quiet(self, gap: float) -> int:
        """Read until nothing is written for ``gap`` seconds; how many bytes that was."""
        before = len(self.output)
        while self.read(gap):
            pass
        return len(self.output) - before

    def press(self, keys: str, gap: float = RESTED_S, wait: float = 2.0) -> Answer:
        """Press keys, and read until nothing comes for ``gap`` seconds."""
        start = time.perf_counter()
        os.write(self.fd, keys.encode())
        first = len(self.read(wait))
        elapsed = time.perf_counter() - start
        if not first:
            return Answer(elapsed * 1e3, 0, 0)
        own, soon = first, time.perf_counter() + AT_ONCE_S
        while (left := soon - time.perf_counter()) > 0:
            own += len(self.read(left))
        return Answer(elapsed * 1e3, own, own + self.quiet(gap))

    def close(self) -> None:
        """Leave by the key for it."""
        os.write(self.fd, b"\x11")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            self.read(0.05)
            if os.waitpid(self.pid, os.WNOHANG)[0]:
                break
        else:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@contextmanager
def terminal(size: tuple[int, int], *args: str, tree: Path | None = None) -> Iterator[Terminal]:
    """A terminal with the app in it."""
    with tempfile.TemporaryDirectory() as state:
        Path(state, "hint-seen").touch()  # not the first start of all
        app = Terminal(size, state, *args, tree=tree)
        try:
            yield app
        finally:
            app.close()


def cpu_s(pid: int) -> float:
    """User and system time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Resident memory in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")
