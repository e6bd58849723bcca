"""Waiting until nothing else computes here, so that a timing says something."""

from __future__ import annotations

import os
import time
from pathlib import Path

BUSY = 0.1
"""Cores that others may use."""


def wait_until_quiet(limit: float = 20.0) -> float:
    """Sleep until others use less than ``BUSY`` cores, ``limit`` seconds at most; how many they use then."""
    end = time.monotonic() + limit
    while (busy := _cores_in_use()) > BUSY and time.monotonic() < end:
        pass
    return round(busy, 2)


def _cores_in_use(over: float = 0.5) -> float:
    before = _busy_ticks()
    time.sleep(over)
    return (_busy_ticks() - before) / os.sysconf("SC_CLK_TCK") / over


def _busy_ticks() -> int:
    """Since the machine started, of all cores: neither idle nor waiting for a disk."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4]
