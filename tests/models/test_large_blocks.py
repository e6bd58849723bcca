"""Large blocks go back to the system when they are freed, but for those that a grid takes again."""

from __future__ import annotations

import json
import os
import platform
import subprocess

import pytest

from interpboard.models.allocator import LARGE_BLOCK
from tests.forks import program
from tests.models.large_blocks import PAGES

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or "MALLOC_MMAP_THRESHOLD_" in os.environ,
    reason="the C library is another, or its limits are set by hand",
)


def test_large_blocks_are_taken_again_or_leave_no_holes_and_go_back_in_the_end() -> None:
    """In a process of its own: a heap with holes of other tests serves large blocks from those."""
    found = _asked()
    assert found["plain"] > 10 * PAGES // 512  # huge pages hold 512
    assert found["again"] <= found["plain"] / 100
    assert found["kept"] > LARGE_BLOCK
    assert found["left"] < LARGE_BLOCK / 2
    assert found["not large"] > 10 * PAGES // 512
    assert found["no holes"] < LARGE_BLOCK  # otherwise up to 12 of them
    assert found["left of holes"] < LARGE_BLOCK


def test_where_little_may_be_taken_smaller_blocks_go_back_too_and_those_of_a_grid() -> None:
    found = _asked("short")
    assert found["short"] > 0.5  # some of the ten may lie in holes of the heap
    assert found["with room"] < 0.1
    assert found["short grid"] > 10 * PAGES // 512


def _asked(*words: str) -> dict[str, float]:
    ended = subprocess.run(
        program("tests.models.large_blocks", *words),
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-1500:]
    found: dict[str, float] = json.loads(ended.stdout)
    return found
