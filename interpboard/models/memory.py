"""How much memory is free, how much something took, and did an operation fail for want of it?"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from interpboard.config import memory_limit
from interpboard.display import spoken_bytes
from interpboard.errors import OutOfMemory, Unaffordable
from interpboard.models.main_memory import free_bytes

_held_before: dict[torch.device, int] = {}
_short: set[torch.device] = set()
LARGE_BLOCK, LARGE_WHERE_SHORT = 8 << 20, 1 << 20
SHORT = 1 << 30  # where less is free for an analysis, blocks of the second size are large
KERNELS_KEPT = 64
_SURE = 0.8  # of what is free: what fits is still to fit when it is tried
_KERNEL_CACHES = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"
_HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt, in malloc.h
_MOST_KEPT = 32 << 20  # the largest block that glibc lets a heap have
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
        _short.clear()
        _short.update([device] if free_memory(device) < SHORT else [])
        give_back_large_blocks()


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


def require_room(device: torch.device, needed: int, what: str, remedy: str) -> None:
    """Raise ``Unaffordable`` if ``what`` needs more bytes than are free on ``device``."""
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
    most, taken = resource.getrlimit(resource.RLIMIT_AS)[0], _status("VmSize")
    return None if most == resource.RLIM_INFINITY or taken is None else most - taken


def give_back_unused() -> None:
    """What was freed and is kept by the C library goes back to the system, where that can be asked."""
    gc.collect()
    with suppress(OSError, AttributeError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)


def give_back_large_blocks() -> None:
    """From now on, under glibc, a large block goes back to the system the moment it is freed.

    By itself it puts tensors of up to 32 MiB into one heap, whose holes stay with the process: a backward
    pass of 4,096 tokens, in which 150 MiB are in use at a time, grew to 1,300. Smaller blocks, those of
    every grid among them, stay in the heap and cost no page faults. Who set the limits by hand keeps them.
    """
    least = LARGE_WHERE_SHORT if _short else LARGE_BLOCK
    _limit_blocks(least, 8 * least)  # the second is what it would come to by itself


@contextmanager
def large_blocks_reused(largest: int) -> Iterator[None]:
    """While open, freed blocks of up to ``largest`` bytes are taken again and do not go back to the system;
    at the end all do.

    Of forward passes over a thousand tokens, each layer's largest tensors are such blocks. To have their
    pages from the system anew is 47,000 page faults of a head grid of GPT-2 small. Nothing is changed where
    ``largest`` is no large block.
    """
    if _short or largest < LARGE_BLOCK or not _limit_blocks(_MOST_KEPT, 8 * _MOST_KEPT):
        yield
        return
    try:
        yield
    finally:
        give_back_large_blocks()
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def blocks_given_back(smallest: int) -> Iterator[None]:
    """While open, freed blocks of ``smallest`` bytes and more go back to the system, where those are at least
    a quarter of a large block; at the end all that is free does.

    A block begins at a multiple of 64 bytes and wants more room than the hole that one of its size leaves, so
    between streams that are kept few are filled again: gradients of 2,048 tokens of GPT-2 small had 455 MiB
    of holes. For passes whose widest blocks are large by themselves.
    """
    if (
        _short
        or not LARGE_BLOCK // 4 <= smallest < LARGE_BLOCK
        or not _limit_blocks(smallest, LARGE_BLOCK)
    ):
        yield
        return
    try:
        yield
    finally:
        give_back_large_blocks()
        ctypes.CDLL(None).malloc_trim(0)


def _limit_blocks(of_heap: int, free: int) -> bool:
    """Blocks of ``of_heap`` bytes and more are had from the system one by one, and so many ``free`` bytes at
    a heap's end go back to it. Whether that was done: who set it by hand keeps it."""
    if "MALLOC_MMAP_THRESHOLD_" in os.environ:
        return False
    with suppress(OSError, AttributeError, TypeError):  # no glibc
        library = ctypes.CDLL(None)
        return bool(library.mallopt(_TRIM_THRESHOLD, free)) and bool(
            library.mallopt(_MMAP_THRESHOLD, of_heap)
        )
    return False


def keep_few_kernels() -> None:
    """From now on oneDNN keeps the kernels of so many shapes that one step of a grid reuses, and no more.

    It makes one for each number of rows that a product is asked for, keeps 1,024 of them in two caches, 0.8
    MiB each on a CPU with AVX-512, and a grid whose steps all differ has seen hundreds: 480 MiB that stay
    with the process. One made anew costs a millisecond. Read by oneDNN at its first product; who set the
    limits by hand keeps them.
    """
    for cache in _KERNEL_CACHES:
        os.environ.setdefault(cache, str(KERNELS_KEPT))


def ask_for_huge_pages() -> None:
    """From now on torch asks Linux for pages of 2 MiB for tensors of so much and more.

    What every step makes anew is then had at once and not 4 KiB at a time, and products look up fewer pages.
    CPU time of GPT-2 small, one thread: a head grid of 48 tokens 4.0 s for 4.2, integrated gradients 0.49 for
    0.54, estimates of 256 tokens 0.67 for 0.74; the most memory was no more. torch reads it at its first such
    tensor: call it before weights are loaded. Who set it by hand keeps it; 0 switches it off.
    """
    os.environ.setdefault(_HUGE_PAGES, "1")


def _begin_peak() -> int | None:
    give_back_unused()  # kept for later, it would hide what the work takes
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return None
    return _status("VmRSS")


def _status(name: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), None)
