"""The terminal app, measured from outside: start, bytes, key latency, idling, memory, imports.

    python benchmarks/app.py            # every figure, about two minutes
    python benchmarks/app.py --quick    # start and imports only

The app runs in a pty of its own with the real engine and the demo model, as in a terminal; what it
writes is counted, not drawn. *First paint* is when the frames and the prompt have been written.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZES = ((80, 24), (120, 40), (200, 60))
ROOT = Path(__file__).resolve().parents[1]
APP = "import sys; from interpboard.cli import main; sys.exit(main([]))"
FRAMES = (b"Tokens", b"Eiffel Tower")
KEYS = 60

MODULES = """
import asyncio, json, sys
from tui.app import InterpBoardApp
async def main():
    app = InterpBoardApp()
    async with app.run_test(size=(120, 40)):
        await app.settled()
        assert app.state.slots["heads"].result is not None
        heavy = ("torch", "transformers", "safetensors", "tokenizers", "captum", "matplotlib",
                 "interpboard.engine.worker", "interpboard.models", "interpboard.runs")
        print(json.dumps([len(sys.modules), sorted(set(heavy) & set(sys.modules))]))
asyncio.run(main())
"""


class Terminal:
    """The app in a pty. ``read`` collects what it writes."""

    def __init__(self, size: tuple[int, int], state: str) -> None:
        columns, rows = size
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            keep = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
            for name in ("NO_COLOR", "TMUX"):
                keep.pop(name, None)
            keep["INTERPBOARD_STATE"] = state
            os.chdir(ROOT)
            os.execve(sys.executable, [sys.executable, "-c", APP], keep)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
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

    def press(self, key: str) -> tuple[float, int]:
        """Milliseconds to the first byte, and the bytes of the answer."""
        start = time.perf_counter()
        os.write(self.fd, key.encode())
        first = self.read(2.0)
        elapsed = (time.perf_counter() - start) * 1e3
        return elapsed, len(first) + self.quiet(0.06)

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
def terminal(size: tuple[int, int]) -> Iterator[Terminal]:
    """A terminal with the app in it."""
    with tempfile.TemporaryDirectory() as state:
        app = Terminal(size, state)
        try:
            yield app
        finally:
            app.close()


def first_paint(size: tuple[int, int], times: int) -> list[float]:
    """Milliseconds from the start of the interpreter to frames and prompt."""
    found = []
    for _ in range(times):
        with terminal(size) as app:
            found.append(app.until(*FRAMES) * 1e3)
    return found


def cpu_ticks(pid: int) -> int:
    """User and system time of a process, in ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def resident(pid: int) -> float:
    """Resident memory in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def show(name: str, value: str, budget: str = "") -> None:
    """A row of the table."""
    print(f"{name:<52} {value:>22}  {budget}", flush=True)


def measure_size(size: tuple[int, int], budget_kb: int, full: bool) -> None:
    """Bytes of the first screen, then keys, switching and idling at one size."""
    name = f"{size[0]}x{size[1]}"
    with terminal(size) as app:
        app.until(*FRAMES)
        app.quiet(0.15)
        frames = len(app.output)
        ready = app.until(b"Paris")
        app.quiet(2.0)
        total = len(app.output)
        show(f"{name} frames painted", f"{frames / 1e3:.1f} kB", f"{budget_kb} kB")
        show(f"{name} everything filled, with the loading line", f"{total / 1e3:.1f} kB")
        show(f"{name} start to the first result", f"{ready:.1f} s")
        for pane, key in (("tokens", "1"), ("heads", "2"), ("lens", "3"), ("next", "4")):
            switch = app.press(key)[1]
            moves = [app.press("hjkl"[at % 4]) for at in range(KEYS if full else 8)]
            answered = sorted(ms for ms, size in moves if size)
            middle = statistics.median(answered) if answered else float("nan")
            last = answered[int(len(answered) * 0.99)] if answered else float("nan")
            sent = statistics.median([size for _, size in moves if size] or [0])
            show(
                f"{name} {pane}: switch / move / key median, p99",
                f"{switch / 1e3:.1f} kB {sent:.0f} B {middle:.1f}, {last:.1f} ms",
                "12 kB, 1300 B, 5, 20 ms",
            )
        os.write(app.fd, b"2r")
        busy = sorted(app.press("hjkl"[at % 4])[0] for at in range(16))
        show(f"{name} key while jobs run, median, worst", f"{busy[8]:.1f}, {busy[-1]:.1f} ms")
        if full:
            app.quiet(2.0)
            ticks, start = cpu_ticks(app.pid), time.perf_counter()
            written = 0
            while time.perf_counter() - start < 5:
                written += len(app.read(0.5))
            share = (cpu_ticks(app.pid) - ticks) / os.sysconf("SC_CLK_TCK") / 5
            show(f"{name} idle, 5 s: bytes, CPU", f"{written} B, {share:.2%}", "0 B, 0.30 %")
            show(f"{name} memory of the app's process", f"{resident(app.pid):.0f} MiB", "80 MiB")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="start and imports only")
    quick = parser.parse_args().quick
    first_paint(SIZES[0], 1)  # warms the files
    for size in SIZES[:1] if quick else SIZES:
        found = first_paint(size, 5)
        show(
            f"{size[0]}x{size[1]} interpreter to first paint, median, worst",
            f"{statistics.median(found):.0f}, {max(found):.0f} ms",
            "450 ms",
        )
    answer = subprocess.run(
        [sys.executable, "-c", MODULES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    count, heavy = json.loads(answer.stdout.strip().splitlines()[-1])
    show("modules in the app, all panes filled", str(count))
    show("of torch, transformers and the engine's own", ", ".join(heavy) or "none", "none")
    if not quick:
        for size, budget in zip(SIZES, (40, 60, 100), strict=True):
            measure_size(size, budget, full=size == (120, 40))


if __name__ == "__main__":
    main()
