"""How much memory is free, how much something took, and did an operation fail for want of it?"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from interpboard.display import spoken_bytes
from interpboard.errors import OutOfMemory, Unaffordable

# CPU and MPS raise a plain RuntimeError, and so do the libraries that compute for CUDA.
_SAID = (
    "can't allocate memory",
    "cannot allocate memory",
    "defaultcpuallocator",
    "not enough memory",
    "out of memory",
    "std::bad_alloc",
    "status_alloc_failed",
)


def out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` means that memory ran out, on whatever device."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in said for words in _SAID)


@contextmanager
def memory_named(what: str, remedy: str) -> Iterator[None]:
    """While open, memory that runs out raises ``OutOfMemory``: ``what`` does not fit, do ``remedy``."""
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not out_of_memory(error):
            raise
        raise OutOfMemory(f"{what} does not fit in memory.", remedy) from error


def check_smaller_may_fit(error: RuntimeError, rows: int) -> None:
    """Return where ``rows`` of the prompt ran out of memory and fewer may do.

    Raises ``error`` itself if it is another one, ``OutOfMemory`` if one row alone did not fit.
    """
    if not out_of_memory(error):
        raise error
    if rows == 1:
        raise OutOfMemory(
            "One forward pass of the prompt does not fit in memory.", "Shorten the prompt."
        ) from error


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had there, by this process: its own limits and those of its group count."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = _said(Path("/proc/meminfo"), "MemAvailable")
    if free is None:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(0, min([free, *_limits()]))


def require_room(device: torch.device, needed: int, what: str, remedy: str) -> None:
    """Raise ``Unaffordable`` if ``what`` needs more bytes than are free on ``device``."""
    free = free_memory(device)
    if needed > free:
        raise Unaffordable(
            f"{what} is {spoken_bytes(needed)}, and {spoken_bytes(free)} are free.", remedy
        )


@dataclass
class Peak:
    """``above``: the most bytes held above what was held at the beginning; None where nobody says."""

    above: int | None = None


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """What the work meanwhile takes: of the GPU's memory, or of the process's (on Linux)."""
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        held = torch.cuda.memory_allocated(device)
        yield peak
        peak.above = torch.cuda.max_memory_allocated(device) - held
        return
    began = _begin_peak()
    yield peak
    highest = _status("VmHWM")
    peak.above = None if began is None or highest is None else max(0, highest - began)


def _limits() -> list[int]:
    """Bytes left under the limit of the address space and under that of the control group."""
    found = []
    try:
        import resource  # not on Windows

        most = resource.getrlimit(resource.RLIMIT_AS)[0]
        taken = _status("VmSize")
        if most != resource.RLIM_INFINITY and taken is not None:
            found.append(most - taken)
    except ImportError:
        pass
    group = Path("/sys/fs/cgroup")
    most_said, taken_said = _number(group / "memory.max"), _number(group / "memory.current")
    if most_said is not None and taken_said is not None:
        found.append(most_said - taken_said)
    return found


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such group, or "max"
        return None


def _begin_peak() -> int | None:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return None
    return _status("VmRSS")


def _status(name: str) -> int | None:
    return _said(Path("/proc/self/status"), name)


def _said(path: Path, name: str) -> int | None:
    """Bytes from a line ``name: 123 kB``."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), None)
