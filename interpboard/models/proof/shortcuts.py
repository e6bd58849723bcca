"""Proofs of what saves arithmetic: each shortcut against the whole computation, on the check's prompt.

A shortcut that does not give the same is not used; nothing else changes, so there is nothing to note.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import torch

from interpboard.errors import Unsupported
from interpboard.models.anatomy import Anatomy
from interpboard.models.attention_sites import QueryBlocks
from interpboard.models.calls import LayerCall
from interpboard.models.partial_layer import (
    KeptAttention,
    attention_kept,
    mlp_at,
    recording_attention,
)
from interpboard.models.proof.rounding import ONE_STEP, Noise, differs, same_within_rounding
from interpboard.models.sites import at_site
from interpboard.models.unembedding import residual_to_logits, residual_to_some_logits

# A family whose modules do not take what was recorded raises one of these: that, too, is an answer.
MISFIT = (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError, Unsupported)
# Half precision would round the few logits otherwise than all of them.
_WIDE = (torch.float32, torch.float64)


def some_logits_agree(
    anatomy: Anatomy, clean: torch.Tensor, last: torch.Tensor, one_step: Noise
) -> bool:
    """Whether three tokens' logits alone are those of the whole vocabulary. ``last`` [1, pos, d_model]."""
    if clean.dtype not in _WIDE:
        return False
    tokens = torch.tensor([5, 0, anatomy.d_vocab - 1])
    try:
        some = residual_to_some_logits(anatomy, last[0], tokens)
    except MISFIT:
        return False
    # Of a divided model each of these may be elsewhere; indices of the CPU go with any.
    parts = None if one_step.parts is None else one_step.parts[tokens]
    expected = clean[:, tokens]
    return some.shape[-1] == 3 and same_within_rounding(some, expected, Noise(parts=parts))


def mlp_at_one_agrees(
    anatomy: Anatomy, clean: torch.Tensor, calls: Sequence[LayerCall], noise: Noise
) -> bool:
    """Whether the last layer's MLP at one position gives that position's logits."""
    index = 5
    call = calls[-1]
    try:
        with mlp_at(anatomy.before_mlp[-1], index):
            hidden = call.replay(call.hidden[:].repeat(2, 1, 1))
    except MISFIT:
        return False
    if hidden.shape[1] != call.hidden.shape[1]:
        return False  # nothing goes around the MLP
    return all(
        same_within_rounding(
            residual_to_logits(anatomy, row[index, None]), clean[index, None], noise
        )
        for row in hidden
    )


def one_query_agrees(
    anatomy: Anatomy, calls: Sequence[LayerCall], noise: Noise, reuse: bool
) -> bool:
    """Whether the last layer gives at one position what it gives there among all, where it is handed the
    keys and values that it makes of each row: of the recorded row beside one that is another before
    that position, begun at the first position and (``reuse``) at a later one."""
    index, call = 5, calls[-1]
    hidden = call.hidden[:, : index + 1].repeat(2, 1, 1)
    hidden[1, 2:index] = call.hidden[0, 2:index].flip(-1)
    try:
        for first in (0, 2) if reuse else ():
            given = hidden[:, first:]
            whole = call.replay(given, first=first)[:, -1:]
            if not differs(whole[:1], whole[1:]):
                return False  # it would show nothing
            keys, values = call.keys_values_of(given, first=first)
            before = keys[:, :, :index], values[:, :, :index]
            one = call.replay(given[:, -1:], first=index, before=before)
            if not same_within_rounding(one, whole, noise):
                return False
    except MISFIT:
        return False
    return reuse


def blocks_agree(
    anatomy: Anatomy,
    ids: torch.Tensor,
    layers: Sequence[int],
    sites: Sequence[frozenset[str]],
) -> bool:
    """Whether patterns computed three queries at a time are the patterns, and edits of them the edits."""
    having = [layer for layer in layers if "pattern" in sites[layer]]
    found: list[list[torch.Tensor]] = []
    try:
        for queries in (None, 3):
            seen: list[list[torch.Tensor]] = []
            with ExitStack() as stack:
                for layer in having:
                    patterns: list[torch.Tensor] = []
                    attended: list[torch.Tensor] = []
                    change = QueryBlocks(partial(_scaled, patterns), queries)
                    stack.enter_context(at_site(anatomy, "pattern", layer, change))
                    stack.enter_context(at_site(anatomy, "attended", layer, attended.append))
                    seen += [patterns, attended]
                anatomy.base(input_ids=ids, use_cache=False)
            found.append([torch.cat(blocks, 1) for blocks in seen])
    except MISFIT:
        return False
    whole, blocks = found
    return all(
        same_within_rounding(some, all_of_it, ONE_STEP)
        for some, all_of_it in zip(blocks, whole, strict=True)
    )


def _scaled(seen: list[torch.Tensor], block: torch.Tensor, first: int) -> torch.Tensor:
    seen.append(block)
    factors = 0.5 + 0.1 * torch.arange(first, first + block.shape[1], device=block.device)
    return block * factors.to(block.dtype)[:, None, None]


def kept_attention_agrees(
    anatomy: Anatomy,
    ids: torch.Tensor,
    calls: Sequence[LayerCall],
    layers: Sequence[int],
    sites: Sequence[frozenset[str]],
    noise: Noise,
) -> bool:
    """Whether a row that keeps its head outputs, scaled here, gives what scaling them in place gives.

    At each of ``layers`` that has head outputs (``sites`` [layer]), beside a row whose attention runs
    and alone.
    """
    kept: list[KeptAttention] = []
    try:
        with ExitStack() as stack:
            for attention, out_proj in zip(anatomy.attention, anatomy.out_proj, strict=True):
                stack.enter_context(recording_attention(attention, out_proj, kept))
            anatomy.base(input_ids=ids, use_cache=False)
        return len(kept) == anatomy.n_layers and all(
            _keeps(anatomy, layer, calls[layer], kept[layer], noise)
            for layer in layers
            if "z" in sites[layer]
        )
    except MISFIT:
        return False


def _keeps(
    anatomy: Anatomy, layer: int, call: LayerCall, kept: KeptAttention, noise: Noise
) -> bool:
    # Each number by another factor, since a norm behind attention undoes a common one.
    z, hidden = kept.z[:], call.hidden[:]
    factors = torch.linspace(-2.0, 2.0, z.shape[-1], device=z.device).to(z.dtype)
    plain = call.replay(hidden)
    with at_site(anatomy, "z", layer, lambda z: (z.flatten(2) * factors).reshape(z.shape)):
        scaled = call.replay(hidden)
    if not differs(plain, scaled):
        return False  # it would show nothing

    def attended() -> torch.Tensor:
        output: torch.Tensor = kept.out_proj.forward(z * factors)
        return output

    with attention_kept(kept, 1, attended):
        both = call.replay(hidden.repeat(2, 1, 1), attending=1)
    with attention_kept(kept, 0, attended):
        alone = call.replay(hidden, attending=0)
    return all(
        same_within_rounding(found, expected, noise)
        for found, expected in ((both[:1], plain), (both[1:], scaled), (alone, scaled))
    )
