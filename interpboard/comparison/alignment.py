"""Which entries of two sequences belong together: by their place, or as a longest common subsequence.

Two prompts of one length that differ in a word ("France", "Italy") are compared place by place. Where one
is longer, or the same words stand elsewhere, a place means nothing: then the tokens that both have are
paired, as many as can be in order, and the others belong to one side alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from interpboard.errors import BadParameter

MOST_PAIRS = 50_000_000  # of places, after what both begin and end with: bytes of the table


@dataclass(frozen=True)
class Alignment:
    """``pairs`` of places in A and in B, in order; None: the other side has no such entry.

    ``by_place``: both have one length, and each place is paired with the same one.
    """

    pairs: tuple[tuple[int | None, int | None], ...]
    by_place: bool

    @property
    def common(self) -> int:
        """How many entries both sides have."""
        return sum(a is not None and b is not None for a, b in self.pairs)

    def places(self, side: int) -> np.ndarray:
        """Where the entries stand in A (``side`` 0) or B (1) [entry]; −1: it has none."""
        return np.array(
            [-1 if pair[side] is None else pair[side] for pair in self.pairs], dtype=int
        )

    def only_in(self) -> tuple[str, ...]:
        """``A`` or ``B`` of each entry that one side alone has; empty for those of both."""
        return tuple("B" if a is None else "A" if b is None else "" for a, b in self.pairs)


def align(a: Sequence[Hashable], b: Sequence[Hashable]) -> Alignment:
    """Pair the entries of ``a`` and ``b``, ids of tokens say.

    By place where both have one length and no alignment pairs more equal entries; else equal entries alone,
    as a longest common subsequence: in a gap those of A come first. Raises ``BadParameter`` for sequences
    too long to be aligned.
    """
    pairs = _common(a, b)
    if len(a) == len(b):
        equal = sum(one == other for one, other in zip(a, b, strict=True))
        if equal == len(pairs) and (equal or not a):
            return Alignment(tuple((i, i) for i in range(len(a))), by_place=True)
    merged: list[tuple[int | None, int | None]] = []
    at_a = at_b = 0
    for i, j in [*pairs, (len(a), len(b))]:
        merged += [(k, None) for k in range(at_a, i)] + [(None, k) for k in range(at_b, j)]
        if i < len(a):
            merged.append((i, j))
        at_a, at_b = i + 1, j + 1
    return Alignment(tuple(merged), by_place=False)


def _common(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Places of a longest common subsequence, in order."""
    shorter = min(len(a), len(b))
    begin = next((i for i in range(shorter) if a[i] != b[i]), shorter)
    room = shorter - begin
    end = next((i for i in range(room) if a[-1 - i] != b[-1 - i]), room)
    inner_a, inner_b = a[begin : len(a) - end], b[begin : len(b) - end]
    found = [(i, i) for i in range(begin)]
    found += [(i + begin, j + begin) for i, j in _longest(inner_a, inner_b)]
    return found + [(len(a) - end + i, len(b) - end + i) for i in range(end)]


def _longest(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    if not a or not b:
        return []
    if len(a) * len(b) > MOST_PAIRS:
        raise BadParameter(
            f"Prompts that differ over {len(a)} and {len(b)} tokens are too long to be aligned.",
            "Compare shorter ones.",
        )
    number: dict[Hashable, int] = {}
    ids_a, ids_b = (
        np.array([number.setdefault(entry, len(number)) for entry in side]) for side in (a, b)
    )
    # table[i, j]: how many entries a[i:] and b[j:] have in common, by the usual recurrence.
    kind = np.uint16 if min(len(a), len(b)) < 2**16 else np.uint32
    table = np.zeros((len(a) + 1, len(b) + 1), dtype=kind)
    for i in range(len(a) - 1, -1, -1):
        below = table[i + 1]
        # One more where a[i] equals b[j], then the best of what stands further right.
        best = np.maximum(below[:-1], np.where(ids_b == ids_a[i], below[1:] + 1, 0))
        table[i, :-1] = np.maximum.accumulate(best[::-1])[::-1]
    pairs, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        if ids_a[i] == ids_b[j]:
            pairs.append((i, j))  # the first equal ones: no alignment has more
            i, j = i + 1, j + 1
        elif table[i + 1, j] >= table[i, j + 1]:
            i += 1
        else:
            j += 1
    return pairs
