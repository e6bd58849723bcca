"""Why a model has no heads, or no patterns of them: what a refusal says."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interpboard.models.anatomy import Anatomy
from interpboard.models.layer_parts import Absent, mixer_of
from interpboard.models.own_attention import asks_interface, patterns_of


def why_no_heads(anatomy: Anatomy) -> str:
    """The reason where no layer of ``anatomy`` has heads; empty where one has."""
    if any(anatomy.d_head):
        return ""
    found = [mixer_of(layer) for layer in anatomy.layers]
    attends = [type(module).__name__ for module, own in found if own]
    if attends:
        return f"The heads of {attends[0]} cannot be told apart: no output projection splits into them."
    mixers = [m for m, _ in found if not isinstance(m, Absent)]
    mixers = mixers or [m for m in anatomy.attention if any(m.children())]
    names = dict.fromkeys(type(m).__name__ for m in mixers)
    verb = "mixes" if len(names) == 1 else "mix"
    how = (
        f"{' and '.join(names)} {verb} its tokens"
        if names
        else "nothing says what mixes its tokens"
    )
    return f"This model has no attention heads: {how}."


def why_no_pattern(anatomy: Anatomy, ids: torch.Tensor, by_layer: Sequence[frozenset[str]]) -> str:
    """The reason where no layer of ``anatomy`` has an attention pattern and its attention is written out in
    its own module, as a run of ``ids`` [1, pos] shows it; empty where none is known."""
    if any("pattern" in sites for sites in by_layer) or anatomy.strips is not None:
        return ""
    layers = [i for i, size in enumerate(anatomy.d_head) if size]
    if not layers or asks_interface(attention := anatomy.attention[layers[0]]):
        return ""
    heads = (anatomy.n_heads, anatomy.n_kv_heads)
    patterns = patterns_of(attention, heads, lambda: anatomy.base(input_ids=ids, use_cache=False))
    name = type(attention).__name__
    if not patterns:
        return f"{name} weighs tokens otherwise than by a softmax over all keys of a query."
    if anatomy.n_heads not in patterns:
        return f"{name} has {min(patterns)} attention patterns, but gives {anatomy.n_heads} heads."
    return f"What {name} gives is not its attention pattern times its values."
