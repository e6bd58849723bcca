"""Prompts that begin alike, as a tree: what they begin with is there once.

In a causal model what stands at a position depends on the tokens up to it alone. Prompts made of one template
differ late, so that a few of them have a third of their tokens in common::

    When ── Mary ── and ──┬── John ── went …
                          └── Tom ─── went …

A node is a token behind those before it. Laid out in a row, the nodes are a prompt in which each token sees
those that it follows in the tree (``models.tree_calls``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

TokenIds = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class PrefixTree:
    """``nodes`` [row, pos]: the node of each token of prompts of one length. ``rows``, ``positions`` [node]:
    a row that has it, and where. ``before`` [node]: the one that it follows, −1 for none; it has the smaller
    number."""

    nodes: torch.Tensor
    rows: torch.Tensor
    positions: torch.Tensor
    before: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.before)

    @classmethod
    def of(cls, prompts: Sequence[TokenIds]) -> PrefixTree:
        """The tree of ``prompts``, all of one length."""
        known: dict[tuple[int, int], int] = {}
        places: list[tuple[int, int]] = []
        before: list[int] = []
        paths: list[list[int]] = []
        for row, ids in enumerate(prompts):
            paths.append([])
            node = -1
            for position, token in enumerate(ids):
                begun = node
                node = known.setdefault((begun, token), len(places))
                if node == len(places):
                    places.append((row, position))
                    before.append(begun)
                paths[-1].append(node)
        rows, positions = torch.tensor(places).T
        return cls(torch.tensor(paths), rows, positions, tuple(before))

    @property
    def seen(self) -> torch.Tensor:
        """[node, node]: whether the second is the first, or comes before it."""
        seen = np.eye(len(self), dtype=bool)
        for node, earlier in enumerate(self.before):
            if earlier >= 0:
                seen[node] |= seen[earlier]
        return torch.from_numpy(seen)

    def of_rows(self, rows: torch.Tensor) -> PrefixTree:
        """The same, of prompts that are the rows ``rows`` [row] of a run of more."""
        return replace(self, rows=rows[self.rows])


def trees_of(prompts: Sequence[TokenIds], most: int) -> Iterator[tuple[list[int], PrefixTree]]:
    """``prompts`` in trees of at most ``most`` nodes, or of one prompt; each with the places of its prompts.

    Neighbours in the order of their tokens go together: they have most in common.
    """
    order = sorted(range(len(prompts)), key=lambda i: prompts[i])
    chosen: list[int] = []
    size = 0
    for i in order:
        new = len(prompts[i]) - (_alike(prompts[chosen[-1]], prompts[i]) if chosen else 0)
        if chosen and size + new > most:
            yield chosen, PrefixTree.of([prompts[j] for j in chosen])
            chosen, size, new = [], 0, len(prompts[i])
        chosen.append(i)
        size += new
    if chosen:
        yield chosen, PrefixTree.of([prompts[j] for j in chosen])


def _alike(one: TokenIds, other: TokenIds) -> int:
    """With how many tokens both begin."""
    pairs = enumerate(zip(one, other, strict=True))
    return next((i for i, (a, b) in pairs if a != b), len(one))
