"""Where tensors' memory comes from and when it goes back: limits of the C library, of oneDNN and of torch."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

LARGE_BLOCK, LARGE_WHERE_SHORT = 8 << 20, 1 << 20
KERNELS_KEPT = 64
_KERNEL_CACHES = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"
_HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt, in malloc.h
_MOST_KEPT = 32 << 20  # the largest block that glibc lets a heap have
_large = [LARGE_BLOCK]  # bytes of the blocks that go back now


def count_as_large(least: int) -> None:
    """From now on, under glibc, a block of ``least`` bytes and more goes back to the system the moment it is
    freed."""
    _large[0] = least
    give_back_large_blocks()


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
    _limit_blocks(_large[0], 8 * _large[0])  # the second is what it would come to by itself


def large_blocks_reused(largest: int) -> AbstractContextManager[None]:
    """While open, freed blocks of up to ``largest`` bytes are taken again and do not go back to the system;
    at the end all do.

    Of forward passes over a thousand tokens, each layer's largest tensors are such blocks. To have their
    pages from the system anew is 47,000 page faults of a head grid of GPT-2 small. Nothing is changed where
    ``largest`` is no large block.
    """
    return _limited_meanwhile(largest >= LARGE_BLOCK, _MOST_KEPT, 8 * _MOST_KEPT)


def blocks_given_back(smallest: int) -> AbstractContextManager[None]:
    """While open, freed blocks of ``smallest`` bytes and more go back to the system, where those are at least
    a quarter of a large block; at the end all that is free does.

    A block begins at a multiple of 64 bytes and wants more room than the hole that one of its size leaves, so
    between streams that are kept few are filled again: gradients of 2,048 tokens of GPT-2 small had 455 MiB
    of holes. For passes whose widest blocks are large by themselves.
    """
    return _limited_meanwhile(LARGE_BLOCK // 4 <= smallest < LARGE_BLOCK, smallest, LARGE_BLOCK)


@contextmanager
def _limited_meanwhile(wanted: bool, of_heap: int, free: int) -> Iterator[None]:
    """While open, the limits of ``_limit_blocks``, if ``wanted`` and memory is not short."""
    if _large[0] < LARGE_BLOCK or not wanted or not _limit_blocks(of_heap, free):
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
