"""A program: what large blocks cost and leave, as JSON; see ``test_large_blocks``."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

import torch

from interpboard.models.allocator import (
    LARGE_BLOCK,
    blocks_given_back,
    give_back_large_blocks,
    large_blocks_reused,
)
from interpboard.models.memory import begin_allowance

PAGES = 2 * LARGE_BLOCK // resource.getpagesize()


def pages_of_ten() -> int:
    """How many pages were had from the system, of ten blocks that are filled and freed one by one."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.empty(2 * LARGE_BLOCK, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    """Bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def of_holes() -> int:
    """Bytes beyond those of the blocks that are kept, of twelve, where each has come with three more."""
    size, before = LARGE_BLOCK // 2, resident()
    kept = []
    for _ in range(12):
        made = [torch.empty(size, dtype=torch.uint8).fill_(1) for _ in range(4)]
        kept.append((made[1], torch.ones(64)))
        del made
    return resident() - before - len(kept) * size


def given_back() -> float:
    """Of smaller blocks every second is freed: which share of these the system has again."""
    size = LARGE_BLOCK // 4
    blocks = [torch.empty(size, dtype=torch.uint8).fill_(1) for _ in range(20)]
    before = resident()
    del blocks[::2]
    return (before - resident()) / (10 * size)


def where_little_may_be_taken() -> dict[str, float]:
    """Blocks that are not large, and those of a grid; then the first of them where there is room."""
    os.environ["INTERPBOARD_MEMORY_MIB"] = "64"
    begin_allowance(torch.device("cpu"))
    short = given_back()
    with large_blocks_reused(2 * LARGE_BLOCK):
        short_grid = pages_of_ten()
    del os.environ["INTERPBOARD_MEMORY_MIB"]
    begin_allowance(torch.device("cpu"))
    return {"short": short, "with room": given_back(), "short grid": short_grid}


def where_there_is_room() -> dict[str, float]:
    """Without, with, and behind a grid; and where its blocks are not large."""
    give_back_large_blocks()
    begun = resident()
    with blocks_given_back(LARGE_BLOCK // 2):
        no_holes = of_holes()
    left_of_holes = resident() - begun
    plain, before = pages_of_ten(), resident()
    with large_blocks_reused(2 * LARGE_BLOCK):
        pages_of_ten()
        again, kept = pages_of_ten(), resident() - before
    left = resident() - before
    give_back_large_blocks()
    with large_blocks_reused(LARGE_BLOCK - 1):
        small = pages_of_ten()
    found = {"plain": plain, "again": again, "kept": kept, "left": left, "not large": small}
    return found | {"no holes": no_holes, "left of holes": left_of_holes}


def main() -> None:
    """What is asked for, as JSON."""
    torch.set_num_threads(1)
    os.environ["THP_MEM_ALLOC_ENABLE"] = "0"  # pages are counted by their usual size
    print(json.dumps(where_little_may_be_taken() if "short" in sys.argv else where_there_is_room()))


if __name__ == "__main__":
    main()
