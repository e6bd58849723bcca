"""The app as a program in a pseudoterminal of its own, seen from outside."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FAKE, REAL = "tests.tui.program", "interpboard"  # modules that are run
LIMIT_S = 60.0


class Terminal:
    """A running app. Whatever happens, ``close`` leaves no process behind."""

    def __init__(self, module: str, *args: str, size: tuple[int, int] = (80, 24)) -> None:
        self.pid, self.fd = pty.fork()
        shape = struct.pack("HHHH", size[1], size[0], 0, 0)
        if self.pid == 0:  # pragma: no cover - the other process
            fcntl.ioctl(0, termios.TIOCSWINSZ, shape)
            os.chdir(ROOT)
            own = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
            os.execve(sys.executable, [sys.executable, "-m", module, *args], own)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, shape)
        self.output = b""
        self.hung_up = False

    def read(self, wait: float) -> bool:
        """Collect what is written within ``wait`` seconds; false at the end."""
        if self.hung_up or not select.select([self.fd], [], [], wait)[0]:
            return not self.hung_up
        try:
            chunk = os.read(self.fd, 1 << 16)
        except OSError:  # the other end is closed
            return False
        self.output += chunk
        return bool(chunk)

    def until(self, *words: str) -> None:
        """Read until all ``words`` have been written."""
        deadline = time.monotonic() + LIMIT_S
        while not all(word.encode() in self.output for word in words):
            alive = self.read(0.5)
            if not alive or time.monotonic() > deadline:
                raise AssertionError(f"{words} not written; the end: {self.output[-500:]!r}")

    def until_after(self, mark: bytes, word: str) -> None:
        """Read until ``word`` has been written after the last ``mark``."""
        deadline = time.monotonic() + LIMIT_S
        while mark not in self.output or word.encode() not in self.output.rpartition(mark)[2]:
            if not self.read(0.5) or time.monotonic() > deadline:
                raise AssertionError(f"{word} not written; the end: {self.output[-500:]!r}")

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self.fd, keys.encode())

    def hang_up(self) -> None:
        """The link is gone."""
        os.close(self.fd)
        self.hung_up = True

    def wait(self) -> int:
        """The exit code, once it has ended; negative: the signal that killed it."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            while not self.hung_up and select.select([self.fd], [], [], 0)[0] and self.read(0):
                pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        raise AssertionError(f"still running; the end: {self.output[-500:]!r}")

    @property
    def cooked(self) -> bool:
        """Does the terminal echo and edit lines, as a shell needs it?"""
        modes = termios.tcgetattr(self.fd)[3]
        return bool(modes & termios.ECHO) and bool(modes & termios.ICANON)

    def close(self) -> None:
        """Kill what is left."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if not self.hung_up:
            os.close(self.fd)
