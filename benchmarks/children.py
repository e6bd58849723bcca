"""A command run as a child: wall time, and the CPU time of it and all that it started.

What has no parent left (Ray's workers end so) is not counted by the system for anybody, so the processes are
looked at while they run.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

EVERY = 0.2  # seconds: as much of a process that ends between two looks is missed
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Ran:
    """What a command said on standard output, and what it took. ``cpu``: seconds by process id; ``named``:
    what each was called last."""

    out: str = ""
    wall: float = 0.0
    cpu: dict[int, float] = field(default_factory=dict)
    named: dict[int, str] = field(default_factory=dict)

    def cpu_of(self, word: str = "") -> float:
        """CPU seconds of the processes whose name has ``word``."""
        return sum(own for pid, own in self.cpu.items() if word in self.named[pid])


def run_watched(words: Sequence[str], threads: int = 0) -> Ran:
    """Run ``words`` to the end, with so many threads of OpenMP (0: as it will). Raises
    ``CalledProcessError``."""
    own = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    ran, started = Ran(), time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(words, stdout=said, env={**os.environ, **own})
        while child.poll() is None:
            _look(child.pid, ran)
            time.sleep(EVERY)
        ran.wall = time.perf_counter() - started
        said.seek(0)
        ran.out = said.read()
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, list(words))
    return ran


def _look(root: int, ran: Ran) -> None:
    """Take in what ``root`` and its descendants have used so far; one that lost its parent stays known."""
    parents, used, named = {}, {}, {}
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            stat = (place / "stat").read_text().rsplit(")", 1)[1].split()
            words = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        pid = int(place.name)
        parents[pid], named[pid] = int(stat[1]), words[:80]
        used[pid] = (int(stat[11]) + int(stat[12])) / _TICK
    ours = {root, *ran.cpu}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    for pid in ours & used.keys():
        # One that has ended and is not waited for yet has no words any more.
        ran.cpu[pid], ran.named[pid] = used[pid], named[pid] or ran.named.get(pid, "")
