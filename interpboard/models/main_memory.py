"""How much memory there is for a model in main memory, as far as the system says."""

from __future__ import annotations

import os

# Of the memory that is free: the rest is for activations, recordings and everybody else.
COMFORTABLE = 0.6
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def free_bytes() -> int | None:
    """Bytes of main memory that can be had now, a container's limit included; None where it is not said."""
    found = [room for room in (_of_machine(), *map(_of_container, _CGROUPS)) if room is not None]
    return min(found) if found else None


def memory_told(file: str) -> bytes:
    """What the system says in ``file``. Asked a dozen times an analysis: without a buffer or a decoder."""
    with open(file, "rb", buffering=0) as said:
        return said.read()


def _of_machine() -> int | None:
    try:
        for line in memory_told("/proc/meminfo").splitlines():
            if line.startswith(b"MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:  # not Linux: all there is, which is more than is free
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _of_container(files: tuple[str, str]) -> int | None:
    try:
        limit, used = (int(memory_told(file)) for file in files)
    except (OSError, ValueError):  # no container, or "max"
        return None
    return max(0, limit - used)
