"""Encoders that predict a masked token (BERT and its kin): their parts, found and proved.

They look both ways, so every run is of the whole prompt: an edit at one position changes all positions of
the layers behind it. Where the parts are is heard (``encoder_blocks``); every site is proved as a decoder's
is, layers are called again where that was proved, and otherwise rows are plain hooked forwards. The lens
is the model's own head, transform and decoder, at each layer. What cannot be shown stays off, by name.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import Anatomy, body_of, is_run, unembedding_of
from interpboard.models.calls import LayerCall, embeddings_of, recording_calls
from interpboard.models.checkpoint.foreign import first_line
from interpboard.models.division import device_of
from interpboard.models.encoder_blocks import Block, find_block, find_final_norm, heard_in
from interpboard.models.packed import in_width, out_width
from interpboard.models.proof.rounding import differs, same_within_rounding
from interpboard.models.proof.rows import plain_logits, refuse_unless_finite
from interpboard.models.proof.selfcheck import refuse_other_heads, self_check, unpadded_prompts
from interpboard.models.proof.shortcuts import MISFIT
from interpboard.models.proof.verified import Verified
from interpboard.models.sites import at_site
from interpboard.models.training_mode import evaluating

_HEADS = ("ForMaskedLM", "ForPreTraining")
_HEARD_TOKENS = 8
_TOKENS = 8  # of the prompts of the proof
_ODD_LENGTH = 13  # no multiple of a window or a block


def predicts_masked_tokens(config: Any) -> bool:
    """Whether a configuration says that its model fills masks in and continues no text."""
    if getattr(config, "is_decoder", False):
        return False
    return any(name.endswith(_HEADS) for name in getattr(config, "architectures", None) or ())


def is_encoder(model: nn.Module) -> bool:
    """Whether a loaded model fills masks in."""
    return type(model).__name__.endswith("ForMaskedLM")


def encoder_anatomy(model: nn.Module) -> Anatomy:
    """The parts of an encoder, as one forward pass shows them; raises ``NotALanguageModel`` naming what is
    missing."""
    whole: Any = model.config
    config = whole.get_text_config()  # of a text model within one of images
    base = body_of(model)
    n_layers = getattr(config, "num_hidden_layers", None)
    if n_layers is None:
        raise NotALanguageModel(
            f"{type(model).__name__} does not say how many layers its tokens run through.",
            "Encoders by way of latent vectors are not supported.",
        )
    layers = _layers(model, base, int(n_layers))
    unembedding = unembedding_of(model)
    embedding = _embedding(model)
    n_heads = int(getattr(config, "num_attention_heads", None) or 0)  # fnet has none
    blocks, final_norm = _heard(model, base, layers, embedding)

    def each(part: str) -> tuple[nn.Module, ...]:
        return tuple(getattr(block, part) or Nowhere() for block in blocks)

    return Anatomy(
        model=model,
        base=base,
        bodies=(base,),
        layers=layers,
        embedding=embedding,
        final_norm=final_norm,
        unembedding=unembedding,
        attention=each("attention"),
        out_proj=each("out_proj"),
        mlp=each("mlp_out"),
        attn_out=each("attn_out"),
        mlp_out=each("mlp_out"),
        before_mlp=each("before_mlp"),
        down_proj=tuple(block.down_proj for block in blocks),
        n_heads=n_heads,
        n_kv_heads=int(getattr(config, "num_key_value_heads", None) or n_heads),
        d_head=tuple(_head_size(block, n_heads) for block in blocks),
        d_model=int(config.hidden_size),
        d_vocab=out_width(unembedding),
        context=_context(config),
        mid_norm=tuple(block.mid_norm for block in blocks),
        end_norm=tuple(block.end_norm for block in blocks),
    )


def _embedding(model: nn.Module) -> nn.Module:
    """The embedding of tokens; of several modules with its weight (T5) the one that is run."""
    named: nn.Module = model.get_input_embeddings()  # type: ignore[operator]
    weight = getattr(named, "weight", None)
    same = [module for module in model.modules() if getattr(module, "weight", None) is weight]
    same = [module for module in same if isinstance(module, type(named))]
    if weight is None or len(same) < 2 or is_run(model, named):
        return named
    return next((module for module in same if is_run(model, module)), named)


class Nowhere(nn.Module):
    """Stands where a layer has no such part. It is never called, so that nothing at it is proved."""


def _layers(model: nn.Module, base: nn.Module, expected: int) -> tuple[nn.Module, ...]:
    lists = [m for m in base.modules() if isinstance(m, nn.ModuleList)]
    stacks = [
        tuple(found)
        for found in lists
        if len(found) == expected
        and not any(isinstance(layer, nn.ModuleList) for layer in found)
        and all(any(True for _ in layer.children()) for layer in found)
    ]
    if len(stacks) > 1:  # of images, too
        stacks = [found for found in stacks if is_run(model, found[0])] or stacks
    if stacks:
        return stacks[0]
    name = type(base).__name__
    if any(isinstance(entry, nn.ModuleList) for found in lists for entry in found):
        raise NotALanguageModel(
            f"{name} keeps its layers in blocks, with other lengths of the prompt between them.",
            "Encoders that pool are not supported.",
        )
    raise NotALanguageModel(f"No stack of {expected} layers found in {name}.")


def _heard(
    model: nn.Module, base: nn.Module, layers: tuple[nn.Module, ...], embedding: nn.Module
) -> tuple[list[Block], nn.Module]:
    """The parts of each layer, and the norm behind the last; empty blocks where a layer hides its stream."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 15, (1, _HEARD_TOKENS), generator=generator).to(device_of(embedding))
    last: list[torch.Tensor] = []
    inside = {id(module) for layer in layers for module in layer.modules()}
    others = [m for m in base.modules() if id(m) not in inside and not any(m.children())]

    def run() -> None:
        last.append(base(input_ids=ids, return_dict=True).last_hidden_state)

    try:
        with evaluating(model):
            heard = heard_in([*layers, *others], run)
    except MISFIT as error:
        raise NotALanguageModel(
            f"{type(model).__name__} cannot run on {_HEARD_TOKENS} tokens: {first_line(error)}."
        ) from error
    blocks = [
        find_block(layer, inner, own) if own is not None else Block()
        for layer, (inner, own) in zip(layers, heard, strict=False)
    ]
    own = heard[len(layers) - 1][1]
    behind = [call for _, call in heard[len(layers) :] if call is not None]
    return blocks, find_final_norm(behind, own, last[0])


def _context(config: Any) -> int | None:
    """None where positions are relative and have no end (funnel)."""
    longest = getattr(config, "max_position_embeddings", None)
    return int(longest) if longest else None


def _head_size(block: Block, n_heads: int) -> int:
    """0 where the width of what attention projects is no multiple of its heads."""
    if block.out_proj is None:
        return 0
    if not n_heads:
        return 0
    size, rest = divmod(in_width(block.out_proj), n_heads)
    return 0 if rest else size


@torch.no_grad()
def check_encoder(anatomy: Anatomy) -> Verified:
    """Prove what an encoder has; where its layers pass on no stream, that its embeddings can be replaced,
    on which attribution to tokens rests. Raises ``NotALanguageModel``."""
    _refuse_other_embeddings(anatomy)
    _refuse_layers_not_run(anatomy)
    try:
        _refuse_padding(anatomy)
        return self_check(anatomy, causal=False)
    except NotALanguageModel as error:
        reason = str(error).split(". ")[0].removeprefix(f"{type(anatomy.model).__name__}: ")
    return Verified(
        path="hooks",
        reuse=False,
        sites=frozenset({"embed"}),
        lens=False,
        notes=(f"attribution to tokens only, no edits inside, no lens: {reason}",),
        causal=False,
    )


def _refuse_layers_not_run(anatomy: Anatomy) -> None:
    """Raise ``NotALanguageModel`` where the layers that were found are not what runs: none can be kept."""
    calls: list[LayerCall] = []
    with recording_calls(anatomy, calls):
        plain_logits(anatomy, unpadded_prompts(anatomy)[0])
    if not calls:
        raise NotALanguageModel(
            f"{type(anatomy.model).__name__} calls its layers so that no hook on them fires.",
            "It cannot be looked into.",
        )
    if len(calls) != anatomy.n_layers:
        raise NotALanguageModel(
            f"{type(anatomy.model).__name__} does not run {anatomy.n_layers} layers one after the other: "
            f"{len(calls)} of those that were found ran.",
            "Encoders that pool or share their layers otherwise are not supported.",
        )


def _refuse_padding(anatomy: Anatomy) -> None:
    """Raise ``NotALanguageModel`` for a model that pads prompts inside (longformer): its positions would be
    others than the prompt's."""
    ids = torch.cat(list(unpadded_prompts(anatomy)), dim=1)[:, :_ODD_LENGTH]
    calls: list[LayerCall] = []
    with recording_calls(anatomy, calls):
        try:
            plain_logits(anatomy, ids)
        except NotALanguageModel as error:
            raise NotALanguageModel(
                f"it runs prompts of {_TOKENS} tokens but none of {_ODD_LENGTH}, so that only prompts of "
                "some lengths fit it"
            ) from error
    lengths = {call.hidden.shape[1] for call in calls} - {_ODD_LENGTH}
    if lengths:
        raise NotALanguageModel(
            f"it pads a prompt of {_ODD_LENGTH} tokens to {max(lengths)} inside, so that its layers have "
            "other positions than the prompt"
        )


def _refuse_other_embeddings(anatomy: Anatomy) -> None:
    """Raise ``NotALanguageModel`` unless the head gives the model's logits position by position, and another
    prompt's embeddings give that prompt's logits."""
    name = type(anatomy.model).__name__
    ids, donor_ids = unpadded_prompts(anatomy)
    clean, donor = (plain_logits(anatomy, each)[0] for each in (ids, donor_ids))
    refuse_unless_finite(name, clean)
    refuse_other_heads(anatomy, ids, clean)
    embedded = embeddings_of(anatomy, donor_ids)
    with at_site(anatomy, "embed", None, lambda _own: embedded.clone()):
        patched = plain_logits(anatomy, ids)[0]
    if not differs(clean, donor) or not same_within_rounding(patched, donor):
        raise NotALanguageModel(
            f"{name}: another prompt's embeddings do not give that prompt's logits: it reads its tokens "
            "elsewhere, too."
        )
    others = ids.clone()
    others[0, 1:] = donor_ids[0, 1:]
    if not differs(clean[:1], plain_logits(anatomy, others)[0, :1]):
        raise NotALanguageModel(
            f"{name}: no other token matters to what it says at a position: its attention gives nothing here "
            "(some have kernels for a GPU alone)."
        )
