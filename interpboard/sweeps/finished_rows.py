"""Which results of a sweep there are: ids as numbers, and how many of them are a reason alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np


class Counts(msgspec.Struct):
    """How many results there are; ``failed``: how many of them have only a reason; ``reasons``: how often
    each."""

    done: int = 0
    failed: int = 0
    reasons: dict[str, int] = {}


class FinishedRows:
    """Ids that are there, 8 bytes each: a million take 8 MB. ``by_analysis``: how many are of each."""

    def __init__(self, numbers: np.ndarray, counts: Counts, by_analysis: Mapping[str, int]) -> None:
        self._numbers, self.counts, self.by_analysis = numbers, counts, by_analysis

    def __contains__(self, id: str) -> bool:
        number = np.uint64(int(id[:16], 16))
        at = int(np.searchsorted(self._numbers, number))
        return at < len(self._numbers) and bool(self._numbers[at] == number)

    def __len__(self) -> int:
        return len(self._numbers)


def numbers_of_ids(ids: Sequence[str]) -> np.ndarray:
    """The first half of each id as a number."""
    return np.array([int(id[:16], 16) for id in ids], dtype=np.uint64)
