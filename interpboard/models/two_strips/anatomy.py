"""The parts of an encoder–decoder, as an anatomy whose layers are those of all three groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import Anatomy
from interpboard.models.checkpoint.foreign import first_line
from interpboard.models.module_hooks import on_input
from interpboard.models.packed import in_width, out_width
from interpboard.models.proof.shortcuts import MISFIT
from interpboard.models.strips import CROSS, DECODER, ENCODER
from interpboard.models.two_strips.blocks import StackBlock, norms_first, read_block
from interpboard.models.two_strips.modules import StripBody, StripEmbedding, StripModel
from interpboard.models.two_strips.sites import TwoStrips

_LAYERS = ("layers", "block")
_SOME_TOKENS = 7
_FINAL_NORM = ("final_layer_norm", "layer_norm")
_HEADS = (
    ("num_heads", "num_decoder_heads"),
    ("encoder_attention_heads", "decoder_attention_heads"),
    ("num_attention_heads", "num_attention_heads"),
)


def find_strips(model: nn.Module) -> Anatomy:
    """The parts of ``model``. Raises ``NotALanguageModel`` naming the part that is missing."""
    config: Any = model.config
    name = type(model).__name__
    encoder, decoder = _stack(model, "encoder"), _stack(model, "decoder")
    n_heads = _heads(config, name)
    embedding = StripEmbedding(_embedding(encoder), _embedding(decoder))
    _refuse_two_vocabularies(embedding, name)
    body = StripBody(encoder, decoder, embedding)
    above = [read_block(each, False, False) for each in _layers(encoder)]
    below = [read_block(each, False, True) for each in _layers(decoder)]
    _refuse_padding(encoder, above[0].module, name)
    if norms_first(above[0].module) is not None:
        above = [read_block(b.module, _norms_first(body, b.module), False) for b in above]
        below = [read_block(b.module, _norms_first(body, b.module), True) for b in below]
    halves = [block for block in below for _ in range(2)]
    names = [f"{ENCODER}{i}" for i in range(len(above))]
    names += [f"{group}{i}" for i in range(len(below)) for group in (DECODER, CROSS)]
    strips = TwoStrips(body, (*above, *halves), tuple(names), _final_norm(encoder, above))
    return _anatomy(model, strips, n_heads, config)


def _anatomy(model: nn.Module, strips: TwoStrips, n_heads: int, config: Any) -> Anatomy:
    blocks, attention = strips.blocks, tuple(map(strips.attention, range(len(strips.blocks))))
    unembedding = getattr(model, "get_output_embeddings", lambda: None)()
    if unembedding is None:
        raise NotALanguageModel(f"{type(model).__name__} has no unembedding.")
    sizes, ragged = (
        {in_width(each.out_proj) // n_heads for each in attention},
        any(in_width(each.out_proj) % n_heads for each in attention),
    )
    if ragged or len(sizes) != 1:
        raise NotALanguageModel(
            f"{type(model).__name__}: its output projections do not split into {n_heads} heads of one size."
        )
    layers = tuple(block.module for block in blocks)
    down = tuple(block.down for block in blocks)
    out_proj = tuple(each.out_proj for each in attention)
    widths = {in_width(each) for each in down}
    return Anatomy(
        model=StripModel(model, strips.body),
        base=strips.body,
        bodies=(strips.body,),
        layers=layers,
        embedding=strips.body.embedding,
        final_norm=_final_norm(strips.body.decoder, blocks),
        unembedding=unembedding,
        attention=tuple(each.module for each in attention),
        out_proj=out_proj,
        mlp=layers,
        attn_out=out_proj,
        mlp_out=down,
        before_mlp=layers,
        down_proj=down if len(widths) == 1 else (None,) * len(down),
        n_heads=n_heads,
        n_kv_heads=n_heads,
        d_head=tuple(sizes) * len(layers),
        d_model=out_width(out_proj[0]),
        d_vocab=out_width(unembedding),
        context=_context(config),
        strips=strips,
    )


def _stack(model: nn.Module, which: str) -> nn.Module:
    getter = getattr(model, f"get_{which}", None)
    found = getter() if getter is not None else None
    if not isinstance(found, nn.Module) or found is model:
        raise NotALanguageModel(f"{type(model).__name__} has no {which} of its own.")
    return found


def _layers(stack: nn.Module) -> nn.ModuleList:
    for name in _LAYERS:
        found = getattr(stack, name, None)
        if isinstance(found, nn.ModuleList) and len(found):
            return found
    raise NotALanguageModel(f"No layers found in {type(stack).__name__}.")


def _embedding(stack: nn.Module) -> nn.Module:
    found = getattr(stack, "embed_tokens", None)
    if not isinstance(found, nn.Module):
        raise NotALanguageModel(f"{type(stack).__name__} has no embedding of tokens.")
    return found


def _final_norm(stack: nn.Module, blocks: Sequence[StackBlock]) -> nn.Module:
    norms_last = blocks[-1].own.sum_norm is not None
    # Where blocks norm first, a norm by the name of the embedding's may stand at the end (bigbird_pegasus).
    for name in (*_FINAL_NORM, *(() if norms_last else ("layernorm_embedding",))):
        found = getattr(stack, name, None)
        if isinstance(found, nn.Module):
            return found
    return nn.Identity()  # each layer norms last


def _heads(config: Any, name: str) -> int:
    for of_encoder, of_decoder in _HEADS:
        count = getattr(config, of_encoder, None)
        if isinstance(count, int):
            other = getattr(config, of_decoder, None) or count
            if other != count:
                raise NotALanguageModel(
                    f"{name} has {count} heads in its encoder's layers and {other} in its decoder's: one "
                    "grid does not hold both."
                )
            return count
    raise NotALanguageModel(f"The configuration of {name} does not say how many heads it has.")


def _refuse_two_vocabularies(embedding: StripEmbedding, name: str) -> None:
    one: Any = embedding.of_source
    other: Any = embedding.of_prefix
    same = one.weight is other.weight or (
        one.weight.shape == other.weight.shape and bool(torch.equal(one.weight, other.weight))
    )
    if not same:
        raise NotALanguageModel(
            f"{name} embeds its source and its target by different matrices: tokens of one vocabulary are "
            "looked into here."
        )


@torch.no_grad()
def _refuse_padding(encoder: nn.Module, first: nn.Module, name: str) -> None:
    """Raise ``NotALanguageModel`` for an encoder that pads its source inside (led), as ``first``, its first
    layer, sees it."""
    lengths: list[int] = []
    ids = torch.tensor([[0] * _SOME_TOKENS], device=next(encoder.parameters()).device)
    with on_input(first, lambda hidden: lengths.append(hidden.shape[1])):
        try:
            encoder(input_ids=ids)
        except MISFIT as error:
            raise NotALanguageModel(
                f"The encoder of {name} cannot run on {_SOME_TOKENS} tokens: {first_line(error)}."
            ) from error
    if lengths != [_SOME_TOKENS]:
        raise NotALanguageModel(
            f"{name} pads a source of {_SOME_TOKENS} tokens to {max(lengths, default=0)} inside, so that its "
            "layers have other positions than the prompt."
        )


def _norms_first(body: StripBody, layer: nn.Module) -> bool:
    """Whether the norm of ``layer``'s self-attention runs before it."""
    found = norms_first(layer)
    assert found is not None
    order: list[nn.Module] = []
    handles = [each.register_forward_pre_hook(lambda m, _a: order.append(m)) for each in found]
    try:
        with torch.no_grad():
            body(input_ids=torch.tensor([[0, 1, -1, -2]], device=body.embedding.weight.device))
    finally:
        for handle in handles:
            handle.remove()
    return bool(order) and order[0] is found[0]


def _context(config: Any) -> int | None:
    for name in ("max_position_embeddings", "n_positions"):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0 and config.model_type not in _RELATIVE:
            return value
    return None


_RELATIVE = ("t5", "mt5", "umt5")  # n_positions is what it was trained on, no bound
