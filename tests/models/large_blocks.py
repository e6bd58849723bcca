"""A program: what large blocks cost and leave, as JSON; see ``test_large_blocks``."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import torch

from interpboard.models.memory import (
    LARGE_BLOCK,
    blocks_given_back,
    give_back_large_blocks,
    large_blocks_reused,
)

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


def main() -> None:
    """Without, with, and behind a grid; and where its blocks are not large."""
    torch.set_num_threads(1)
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
    found |= {"no holes": no_holes, "left of holes": left_of_holes}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
