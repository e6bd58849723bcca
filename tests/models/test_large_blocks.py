"""Large blocks go back to the system when they are freed, but for those that a grid takes again."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

import pytest
import torch

from interpboard.models.memory import LARGE_BLOCK, give_back_large_blocks, large_blocks_reused

PAGES = 2 * LARGE_BLOCK // resource.getpagesize()

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or "MALLOC_MMAP_THRESHOLD_" in os.environ,
    reason="the C library is another, or its limits are set by hand",
)


def _pages_of_ten() -> int:
    """How many pages were had from the system, of ten blocks that are filled and freed one by one."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(10):
        torch.empty(2 * LARGE_BLOCK, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_a_grids_blocks_are_taken_again_and_go_back_when_it_is_done() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # whose pages are counted
    give_back_large_blocks()
    try:
        plain, before = _pages_of_ten(), _resident()
        with large_blocks_reused(2 * LARGE_BLOCK):
            _pages_of_ten()
            again, kept = _pages_of_ten(), _resident() - before
    finally:
        torch.set_num_threads(threads)
    assert plain > 10 * PAGES // 512  # huge pages hold 512
    assert again <= plain / 100
    assert kept > LARGE_BLOCK
    assert _resident() - before < LARGE_BLOCK / 2


def test_nothing_changes_for_blocks_that_are_not_large() -> None:
    give_back_large_blocks()
    with large_blocks_reused(LARGE_BLOCK - 1):
        assert _pages_of_ten() > 10 * PAGES // 512
