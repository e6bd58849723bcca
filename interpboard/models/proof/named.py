"""Is what the user named what its name says? What no other proof would find out."""

from __future__ import annotations

from typing import Any

import torch

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import Anatomy
from interpboard.models.named_parts import Parts
from interpboard.models.proof.additions import adds_before_mlp, refuse_other_additions
from interpboard.models.proof.head_count import refuse_other_head_counts
from interpboard.models.proof.kinds import kinds_of_layers, layers_to_prove
from interpboard.models.proof.rows import plain_logits
from interpboard.models.proof.selfcheck import random_prompts, refuse_other_unembedding


@torch.no_grad()
def refuse_other_parts(anatomy: Anatomy, named: Parts) -> None:
    """Raise ``NotALanguageModel`` for a part of ``named`` that is another one than its name says."""
    ids = random_prompts(anatomy)[0]
    if named.head:
        refuse_other_unembedding(anatomy)
    if named.embedding:
        _refuse_other_embedding(anatomy, ids)
    if named.names_layers:
        refuse_other_additions(anatomy, ids)
    if named.before_mlp:
        _refuse_other_middle(anatomy, ids)
    if named.n_heads:
        refuse_other_head_counts(anatomy, ids)


def _refuse_other_embedding(anatomy: Anatomy, ids: torch.Tensor) -> None:
    """Raise unless the embedding is given the tokens, and gives a vector for each: one of positions has as
    many, and gradients at it would be taken for those at the tokens."""
    seen: list[tuple[Any, Any]] = []

    def see(_module: Any, args: tuple[Any, ...], output: Any) -> None:
        seen.append((args[0] if args else None, output))

    handle = anatomy.embedding.register_forward_hook(see)
    try:
        plain_logits(anatomy, ids)
    finally:
        handle.remove()
    given, made = seen[0] if len(seen) == 1 else (None, None)
    of_tokens = isinstance(given, torch.Tensor) and torch.equal(given.to(ids), ids)
    first = made[0] if isinstance(made, tuple) else made
    if not (of_tokens and isinstance(first, torch.Tensor) and first.shape[:-1] == ids.shape):
        raise NotALanguageModel(
            f"{type(anatomy.embedding).__name__}, named as embedding, is not what makes vectors of tokens.",
            "Name the embedding of tokens.",
        )


def _refuse_other_middle(anatomy: Anatomy, ids: torch.Tensor) -> None:
    """Raise unless attention's output is in what ``before_mlp`` is given: where both read the same stream,
    there is none between them."""
    for layer in layers_to_prove(kinds_of_layers(anatomy)):
        if not adds_before_mlp(anatomy, layer, ids):
            module = type(anatomy.before_mlp[layer]).__name__
            raise NotALanguageModel(
                f"{module}, named as before_mlp, is not given what attn_out adds in layer {layer}.",
                "Where attention and MLP read the same stream, leave before_mlp out.",
            )
