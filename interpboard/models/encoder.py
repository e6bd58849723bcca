"""Encoders that predict a masked token (BERT and its kin): found, proved, and limited by name.

They look both ways and norm late, so layers are not replayed and no lens or head site is offered. What
rests on the embeddings and on plain forwards works: gradient attribution, occlusion, Shapley values,
rollout and flow of the reported attention.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import (
    Anatomy,
    attention_modules,
    body_of,
    layers_of,
    unembedding_of,
)
from interpboard.models.packed import out_width
from interpboard.models.proof.rounding import differs, same_within_rounding
from interpboard.models.proof.rows import plain_logits, refuse_unless_finite
from interpboard.models.proof.selfcheck import random_prompts, refuse_other_heads
from interpboard.models.proof.verified import Verified
from interpboard.models.sites import at_site

_HEADS = ("ForMaskedLM", "ForPreTraining")


def predicts_masked_tokens(config: Any) -> bool:
    """Whether a configuration says that its model fills masks in and continues no text."""
    if getattr(config, "is_decoder", False):
        return False
    return any(name.endswith(_HEADS) for name in getattr(config, "architectures", None) or ())


def is_encoder(model: nn.Module) -> bool:
    """Whether a loaded model fills masks in."""
    return type(model).__name__.endswith("ForMaskedLM")


def encoder_anatomy(model: nn.Module) -> Anatomy:
    """The parts that are asked for on an encoder; raises ``NotALanguageModel`` naming what is missing."""
    config: Any = model.config
    base = body_of(model)
    layers = layers_of(base, int(config.num_hidden_layers))
    unembedding = unembedding_of(model)
    attention, out_proj = attention_modules(layers)
    n_heads = int(config.num_attention_heads)
    hidden = int(config.hidden_size)
    return Anatomy(
        model=model,
        base=base,
        bodies=(base,),
        layers=layers,
        embedding=model.get_input_embeddings(),  # type: ignore[operator]
        final_norm=nn.Identity(),  # each layer norms last
        unembedding=unembedding,
        attention=attention,
        out_proj=out_proj,
        mlp=layers,
        attn_out=out_proj,
        mlp_out=layers,
        before_mlp=layers,
        down_proj=(None,) * len(layers),
        n_heads=n_heads,
        n_kv_heads=n_heads,
        d_head=(hidden // n_heads,) * len(layers),
        d_model=hidden,
        d_vocab=out_width(unembedding),
        context=int(config.max_position_embeddings),
    )


@torch.no_grad()
def check_encoder(anatomy: Anatomy) -> Verified:
    """Prove that logits at one position are the model's own and that embeddings can be replaced.

    Raises ``NotALanguageModel``.
    """
    name = type(anatomy.model).__name__
    ids, donor_ids = _without_padding(anatomy, random_prompts(anatomy))
    clean, donor = (plain_logits(anatomy, each)[0] for each in (ids, donor_ids))
    refuse_unless_finite(name, clean)
    refuse_other_heads(anatomy, ids, clean)
    embedded = anatomy.embedding(donor_ids)
    if not isinstance(embedded, torch.Tensor):  # integer encoders (ibert) give a scale beside it
        raise NotALanguageModel(f"{name}: its embedding gives more than one tensor.")
    with at_site(anatomy, "embed", None, lambda _own: embedded.clone()):
        patched = plain_logits(anatomy, ids)[0]
    if not differs(clean, donor) or not same_within_rounding(patched, donor):
        raise NotALanguageModel(f"{name}: its embeddings cannot be replaced.")
    return Verified(
        path="hooks",
        reuse=False,
        sites=frozenset({"embed"}),
        lens=False,
        notes=("an encoder: attribution to tokens only, no edits inside, no lens",),
        causal=False,
    )


def _without_padding(anatomy: Anatomy, ids: torch.Tensor) -> torch.Tensor:
    """Padding tokens made others: some encoders (roberta) count positions without them."""
    config: Any = anatomy.model.config
    pad = config.pad_token_id
    return ids if pad is None else torch.where(ids == pad, pad + 1, ids)
