"""How an encoder–decoder's parts are wired to its two streams: norms come first (T5) or last (BART)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from interpboard.circuits.discovery.normed_sums import NormedSums
from interpboard.circuits.discovery.strips.graph import StripGraph
from interpboard.circuits.discovery.wiring import Projection, Wiring, unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.plain_linear import plain_linear
from interpboard.models.strips import CROSS, ENCODER, group_of
from interpboard.models.two_strips.blocks import StackBlock
from interpboard.models.two_strips.sites import TwoStrips
from interpboard.registry.layer_names import has_mlp


@dataclass(frozen=True)
class StripLayerWiring(NormedSums):
    """One layer. ``reads`` [projection]: the norm through which each reads; of a cross attention's keys and
    values the encoder's final one. ``before_mlp``: what is given the stream that the MLP reads, and ``down``,
    its last map; None without an MLP."""

    reads: tuple[nn.Module, ...]
    before_mlp: nn.Module | None
    down: nn.Module | None
    in_source: bool

    def read(self, number: int, streams: torch.Tensor) -> torch.Tensor:
        """What projection ``number`` is given for ``streams`` [receiver, batch, pos, d_model]."""
        # The module's forward itself: hooks on it hear of the model's own pass alone.
        out: torch.Tensor = self.reads[number].forward(streams.flatten(0, 1))
        return out.view(streams.shape)


@dataclass(frozen=True)
class StripWiring(Wiring):
    """Both stacks as a graph of senders and receivers."""

    graph: StripGraph
    layers: tuple[StripLayerWiring, ...]

    @property
    def strips(self) -> TwoStrips:
        """The model's."""
        strips = self.lm.anatomy.strips
        assert isinstance(strips, TwoStrips)
        return strips


def find_strip_wiring(lm: LanguageModel) -> StripWiring:
    """The wiring of ``lm``; not yet proved. Raises ``Unsupported`` naming what does not fit."""
    anatomy = lm.anatomy
    lm.verified.require_lens()
    for site in ("z", "mlp_out", "resid_pre", "resid_post"):
        if site not in lm.verified.sites:
            raise unsupported(lm, f"{site} is not available on it")
    graph = StripGraph(anatomy.n_layers, anatomy.n_heads, anatomy.n_kv_heads, anatomy.layer_names)
    layers = tuple(_layer(lm, layer) for layer in range(anatomy.n_layers))
    return StripWiring(lm, graph, layers)


def _layer(lm: LanguageModel, layer: int) -> StripLayerWiring:
    strips = lm.anatomy.strips
    assert isinstance(strips, TwoStrips)
    name, block, attention = strips.names[layer], strips.blocks[layer], strips.attention(layer)
    maps, reads = attention.projections, _reads(block)
    if maps is None or reads is None:
        raise unsupported(
            lm, "its queries, keys and values, or the norms before them, are not told apart"
        )
    own, cross, mlp = reads
    norm = cross if group_of(name) == CROSS else own
    assert norm is not None
    mid_norm, end_norm = strips.sum_norms(layer)
    if has_mlp(name) and (mid_norm is None) != (end_norm is None):
        raise unsupported(lm, "it norms one of the two sums in its layers, and not the other")
    of_states = strips.tail if group_of(name) == CROSS else norm
    size = lm.anatomy.d_head[layer]
    projections = tuple(_projection(lm, each, size) for each in maps)
    formats = {_weight(lm, module).dtype for module in (attention.out_proj, *maps)}
    return StripLayerWiring(
        norm, projections, attention.out_proj, lm.anatomy.n_heads,
        max(formats, key=lambda dtype: torch.finfo(dtype).eps), mid_norm, end_norm,
        (norm, of_states, of_states),
        mlp if has_mlp(name) else None,
        block.down if has_mlp(name) else None,
        group_of(name) == ENCODER,
    )  # fmt: skip


def _reads(block: StackBlock) -> tuple[nn.Module, nn.Module | None, nn.Module] | None:
    """What self-attention, cross attention and the MLP read the stream through: their norms, or where the
    sums are normed nothing, and the MLP's first map. None where they go by other names."""
    parts = getattr(block.module, "layer", None)
    if isinstance(parts, nn.ModuleList):
        found = [getattr(part, "layer_norm", None) for part in parts]
        names = found if block.cross is not None else [found[0], None, found[-1]]
    elif block.own.sum_norm is not None:
        crosses = None if block.cross is None else nn.Identity()
        names = [nn.Identity(), crosses, getattr(block.module, "fc1", None)]
    else:
        names = [
            getattr(block.module, name, None)
            for name in ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm")
        ]
    own, cross, mlp = names
    if own is None or mlp is None or (cross is None) != (block.cross is None):
        return None
    return own, cross, mlp


def _projection(lm: LanguageModel, module: nn.Module, size: int) -> Projection:
    if _weight(lm, module).shape != (lm.anatomy.n_heads * size, lm.anatomy.d_model):
        raise unsupported(lm, "a projection does not split into heads")
    return Projection(module, (lm.anatomy.n_heads,), size)


def _weight(lm: LanguageModel, module: nn.Module) -> torch.Tensor:
    found = plain_linear(module)
    if found is None:
        raise unsupported(lm, f"{type(module).__name__} is no plain linear map")
    return found[0]
