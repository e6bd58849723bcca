"""How much memory is free, how much something took, and did an operation fail for want of it?"""

from __future__ import annotations

import errno
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from interpboard.config import memory_limit
from interpboard.display import spoken_bytes
from interpboard.errors import OutOfMemory, Unaffordable
from interpboard.models.allocator import (
    LARGE_BLOCK,
    LARGE_WHERE_SHORT,
    count_as_large,
    give_back_unused,
)
from interpboard.models.main_memory import free_bytes, memory_told

_held_before: dict[torch.device, int] = {}
SHORT = 1 << 30  # where less is free for an analysis, smaller blocks are large
_SURE = 0.8  # of what is free: what fits is still to fit when it is tried
# CPU and MPS raise a plain RuntimeError, and so do the libraries that compute for CUDA.
_SAID = (
    "can't allocate memory",
    "cannot allocate memory",
    "could not create a primitive",
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
    message = str(error).lower()
    if "primitive descriptor" in message:  # oneDNN: one that this CPU does not have
        return False
    return isinstance(error, RuntimeError) and any(words in message for words in _SAID)


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
    """Bytes that can still be had there, by this process: its own limit and a container's count."""
    allowed = left_of_allowance(device)
    return _free(device) if allowed is None else min(allowed, _free(device))


def begin_allowance(device: torch.device) -> None:
    """An analysis begins: what is held now does not count against what it may take. Where that is little,
    holes in the heap cost more than pages had anew: a pass of 800 tokens took 100 MiB of which 35 were in
    use."""
    _held_before[device] = _held(device)
    if device.type != "cuda":
        count_as_large(LARGE_WHERE_SHORT if free_memory(device) < SHORT else LARGE_BLOCK)


def left_of_allowance(device: torch.device) -> int | None:
    """Bytes that the setting ``memory_mib`` leaves to the analysis under way; None where it is not set."""
    limit = memory_limit()
    if not limit:
        return None
    held = _held(device)
    return max(0, limit - max(0, held - _held_before.get(device, held)))


def _held(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    # Weights that are read from their file as they are used are not in it.
    return _status("RssAnon") or 0


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    found = [room for room in (free_bytes(), _left_of_limit()) if room is not None]
    return max(0, min(found, default=sys.maxsize))


def surely_free(device: torch.device) -> int:
    """What may be planned with of ``free_memory``: what fits is still to fit when it is tried."""
    return int(free_memory(device) * _SURE)


def at_most_of_free(most: int, device: torch.device, parts: int) -> int:
    """``most`` bytes, or one of so many ``parts`` of what is free where that is less: for what is as well
    done in smaller portions, of which several are there at once."""
    return min(most, free_memory(device) // parts)


def most_numbers(most: int, device: torch.device, parts: int) -> int:
    """``at_most_of_free`` of so many numbers of 4 bytes; at least one."""
    return max(1, at_most_of_free(4 * most, device, parts) // 4)


def require_room(device: torch.device, needed: int, what: str, remedy: str) -> None:
    """Raise ``Unaffordable`` if ``what`` needs more bytes than are free on ``device``."""
    if needed <= free_memory(device):
        return
    give_back_unused()  # it may be that there is room yet
    free = free_memory(device)
    if needed > free:
        raise _unaffordable(device, needed, free, what, remedy)


def require_room_for_tokens(
    device: torch.device,
    needed: Callable[[int], int],
    tokens: int,
    what: str,
    otherwise: str = "",
    *,
    prompts: str = "the prompt",
    beside: Callable[[int], int] = lambda _tokens: 0,
    later: Callable[[int], int] = lambda _tokens: 0,
) -> None:
    """Raise ``Unaffordable`` if ``what`` of so many ``tokens`` has no room, with how many would have it.

    ``needed``: bytes of so many tokens, growing with them. ``otherwise``: what else can be done, after "or".
    ``beside``: bytes that come and go meanwhile, and need room too. ``later``: what may yet be needed, for
    which what is advised leaves room.
    """

    def whole(n: int) -> int:
        return needed(n) + beside(n)

    if whole(tokens) <= free_memory(device):
        return
    give_back_unused()  # it may be that there is room yet
    free = free_memory(device)
    if whole(tokens) <= free:
        return
    fit = bisect_right(range(1, tokens), free * _SURE, key=lambda n: whole(n) + later(n))
    shorter = f"shorten {prompts} to {fit:,} token{'s' * (fit != 1)}" if fit else ""
    remedies = [each for each in (shorter, otherwise) if each]
    if memory_limit() and free < _free(device):
        remedies.append("raise memory_mib")
    remedy = ", or ".join(remedies or ["use a device with more memory, or a smaller --dtype"])
    least = needed(tokens)
    if least <= free:
        what, least = f"{what.removesuffix(',')}, with what is beside it meanwhile,", whole(tokens)
    raise _unaffordable(device, least, free, what, f"{remedy[0].upper()}{remedy[1:]}.")


def _unaffordable(
    device: torch.device, needed: int, free: int, what: str, remedy: str
) -> Unaffordable:
    limited = memory_limit() and free < _free(device)
    left = "may be taken (memory_mib)" if limited else "are free"
    return Unaffordable(
        f"{what} is {spoken_bytes(needed)}, and {spoken_bytes(free)} {left}.", remedy
    )


@dataclass
class Peak:
    """``above``: the most bytes held above what was held at the beginning; None where nobody says."""

    above: int | None = None


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """What the work meanwhile takes: of the GPU's memory, or of the process's (on Linux).

    Pages of files that a process reads for the first time, its libraries' code among them, are nobody's: the
    system takes them back when it will, and the first analysis of a process would have 30 MiB of them.
    """
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        held = torch.cuda.memory_allocated(device)
        yield peak
        peak.above = torch.cuda.max_memory_allocated(device) - held
        return
    began, of_files = _begin_peak(), _status("RssFile") or 0
    yield peak
    highest, read = _status("VmHWM"), (_status("RssFile") or 0) - of_files
    if began is not None and highest is not None:
        peak.above = max(0, highest - began - max(0, read))


def _left_of_limit() -> int | None:
    """Bytes left under the limit of the address space; None where there is none."""
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most == resource.RLIM_INFINITY:
        return None
    taken = _status("VmSize")
    return None if taken is None else most - taken


def _begin_peak() -> int | None:
    give_back_unused()  # kept for later, it would hide what the work takes
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return None
    return _status("VmRSS")


def _status(name: str) -> int | None:
    try:
        lines = memory_told("/proc/self/status").splitlines()
    except OSError:
        return None
    begins = name.encode()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(begins)), None)
