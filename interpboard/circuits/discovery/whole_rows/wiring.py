"""How an encoder's parts are wired to its stream, whether blocks norm what they read or what they sum up.

What an edge is in either is said in ``normed_sums``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from interpboard.circuits.discovery.graph import Graph
from interpboard.circuits.discovery.joint_norms import with_joint_norms
from interpboard.circuits.discovery.normed_sums import NormedSums
from interpboard.circuits.discovery.scaled_sums import scales_of_sums
from interpboard.circuits.discovery.wiring import (
    Wiring,
    narrowest,
    projections_of,
    unsupported,
)
from interpboard.models.encoder_blocks import Heard, heard_in
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.rounding import agrees
from interpboard.models.proof.selfcheck import unpadded_prompts
from interpboard.models.unembedding import run_body

_SITES = ("q", "k", "v", "z", "mlp_out", "resid_pre", "resid_mid", "resid_post")


@dataclass(frozen=True)
class RowWiring(Wiring):
    """An encoder as a graph of senders and receivers."""

    layers: tuple[NormedSums, ...]


def find_row_wiring(lm: LanguageModel) -> RowWiring:
    """The wiring of ``lm``; not yet proved. Raises ``Unsupported`` naming what does not fit."""
    anatomy = lm.anatomy
    for site in _SITES:
        if site not in lm.verified.sites:
            raise unsupported(lm, f"{site} is not available on it")
    graph = Graph(anatomy.n_layers, anatomy.n_heads, anatomy.n_kv_heads)
    ids = unpadded_prompts(anatomy)[0]
    heard = heard_in(anatomy.layers, lambda: run_body(anatomy, ids))
    layers = [_layer(lm, layer, *heard[layer]) for layer in range(anatomy.n_layers)]
    scales = scales_of_sums(lm, ids)
    scaled = [replace(own, scale=scale) for own, scale in zip(layers, scales, strict=True)]
    return RowWiring(lm, graph, with_joint_norms(lm, scaled, ids))


def _layer(lm: LanguageModel, layer: int, inside: Sequence[Heard], own: Heard | None) -> NormedSums:
    anatomy = lm.anatomy
    if anatomy.attn_out[layer] is not anatomy.out_proj[layer]:
        raise unsupported(lm, "it norms what attention adds, so heads do not add up")
    mid = anatomy.mid_norm[layer] if anatomy.mid_norm else None
    end = anatomy.end_norm[layer] if anatomy.end_norm else None
    if (mid is None) != (end is None):
        raise unsupported(lm, "it norms one of the two sums in its layers, and not the other")
    projections = projections_of(lm, layer)
    norm = None if own is None else _read_through(projections[0].module, inside, own.given)
    if norm is None:
        raise unsupported(lm, "what its attention reads the stream through was not found")
    rounds_to = narrowest(lm, anatomy.out_proj[layer], projections)
    return NormedSums(
        norm, projections, anatomy.out_proj[layer], anatomy.n_heads, rounds_to, mid, end
    )


def _read_through(
    reader: nn.Module, inside: Sequence[Heard], stream: torch.Tensor
) -> nn.Module | None:
    """The module that makes of a layer's input ``stream`` what ``reader`` is given; none at all where
    that is the same."""
    given = next((call.given for call in inside if call.module is reader), None)
    if given is None or given.shape != stream.shape:
        return None
    if agrees(given, stream):
        return nn.Identity()
    fits = (
        call
        for call in inside
        if call.given.shape == stream.shape == call.gave.shape
        and agrees(call.given, stream)
        and agrees(call.gave, given)
    )
    return next((call.module for call in fits), None)
