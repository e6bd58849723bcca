"""Is the number of heads that the user named the number that attention computes?

A width can be cut into any number of heads that divides it, and half a head ablated passes every other proof:
the cuts add up to the whole. But attention has a pattern for each head, and those are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import Anatomy
from interpboard.models.attention_sites import in_attention
from interpboard.models.own_attention import asks_interface, patterns_of


@torch.no_grad()
def refuse_other_head_counts(anatomy: Anatomy, ids: torch.Tensor) -> None:
    """Raise ``NotALanguageModel`` for a layer whose attention is not of ``n_heads`` patterns, or of a number
    that cannot be counted. ``ids`` [1, pos]."""

    def run() -> None:
        anatomy.base(input_ids=ids, use_cache=False)

    for layer, size in enumerate(anatomy.d_head):
        if not size:
            continue
        name = type(anatomy.attention[layer]).__name__
        counted = _counted(anatomy, layer, run)
        if not counted:
            raise NotALanguageModel(
                f"n_heads = {anatomy.n_heads}: how many heads {name} has cannot be counted, and its width "
                "divides into other numbers too.",
                "Leave out n_heads and attention: other sites than heads are there without them.",
            )
        if anatomy.n_heads not in counted:
            found = " or ".join(map(str, sorted(counted)))
            raise NotALanguageModel(
                f"n_heads = {anatomy.n_heads}: {name} of layer {layer} has {found} attention patterns.",
                f"Name n_heads = {found}.",
            )


def _counted(anatomy: Anatomy, layer: int, run: Callable[[], Any]) -> set[int]:
    attention = anatomy.attention[layer]
    if not asks_interface(attention):
        return patterns_of(attention, (anatomy.n_heads, anatomy.n_kv_heads), run)
    found: set[int] = set()

    def hear(query: torch.Tensor) -> None:  # [row, pos, head, d_head]
        found.add(query.shape[2])

    with in_attention(anatomy, "q", layer, hear):
        run()
    return found
