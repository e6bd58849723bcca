"""The sites of an encoder–decoder: where each is in the real modules, and in which strip its positions lie.

| group | stream | queries | keys and values | has |
|---|---|---|---|---|
| ``E`` encoder | source | source | source | attention, MLP |
| ``D`` decoder, first half | prefix | prefix | prefix | attention |
| ``X`` decoder, second half | prefix | prefix | source | cross attention, MLP |

What is handed over is over both strips; positions that a layer does not have are 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from interpboard.models.anatomy import Anatomy
from interpboard.models.attention_sites import in_attention
from interpboard.models.calls import LayerCall
from interpboard.models.kept_tensors import Keeper
from interpboard.models.module_hooks import on_input, on_output
from interpboard.models.strips import (
    CROSS,
    ENCODER,
    StripChange,
    group_of,
    stands_in_source,
)
from interpboard.models.two_strips.blocks import Attention, StackBlock
from interpboard.models.two_strips.calls import first_inputs, recording_strips
from interpboard.models.two_strips.modules import StripBody, coded
from interpboard.registry.layer_names import has_mlp

_OF_MLP = ("resid_mid", "neuron", "mlp_out")
# Dimensions of an activation that are positions: of queries, and of keys.
_QUERIES_AND_KEYS = {"pattern": (1, 3), "mask": (2, 3)}
_INSIDE = ("q", "k", "v", "attended", "pattern", "mask")


@dataclass(frozen=True)
class TwoStrips:
    """See ``Strips``. ``blocks`` and ``names`` by layer; ``tail``: the norm behind the encoder."""

    body: StripBody
    blocks: tuple[StackBlock, ...]
    names: tuple[str, ...]
    tail: nn.Module

    def code(self, ids: torch.Tensor, border: int) -> torch.Tensor:
        """``ids`` [row, pos], the prefix marked."""
        return coded(ids, border)

    def positions(self, site: str, layer: int, border: int, length: int) -> range:
        """The positions at which ``layer`` has the site; none at an MLP that it has not."""
        if site == "embed":
            return range(length)
        name = self.names[layer]
        if site in _OF_MLP and not has_mlp(name):
            return range(0)
        of_keys = site in ("k", "v") and group_of(name) == CROSS
        return range(border) if of_keys or stands_in_source(name) else range(border, length)

    def attention(self, layer: int) -> Attention:
        """The attention of ``layer``: cross attention in the second half of one of the decoder."""
        block = self.blocks[layer]
        if group_of(self.names[layer]) != CROSS:
            return block.own
        assert block.cross is not None
        return block.cross

    def sum_norms(self, layer: int) -> tuple[nn.Module | None, nn.Module | None]:
        """The norms of the sums behind attention and behind the MLP, where the family norms there."""
        own = has_mlp(self.names[layer])
        return self.attention(layer).sum_norm, self.blocks[layer].end_norm if own else None

    def recording(
        self, anatomy: Anatomy, calls: list[LayerCall], keeper: Keeper
    ) -> AbstractContextManager[None]:
        """``recording_calls``."""
        return recording_strips(anatomy, self.body, self.blocks, self.tail, calls, keeper)

    def states_of(self, stream: torch.Tensor) -> torch.Tensor:
        """The encoder's states for what its last layer gives [row, pos, d_model]."""
        states: torch.Tensor = self.tail(stream)
        return states

    def first_inputs(self, ids: torch.Tensor) -> torch.Tensor:
        """What both stacks give their first layers [row, pos, d_model], for coded ``ids`` [row, pos]."""
        return first_inputs(self.body, self.blocks, ids)

    @contextmanager
    def at(self, anatomy: Anatomy, site: str, layer: int, change: StripChange) -> Iterator[None]:
        """While open, ``change`` sees the activation at the site, over both strips."""
        name = self.names[layer]
        with ExitStack() as stack:
            if group_of(name) == ENCODER:
                self.body.edited += 1
                stack.callback(self._closed)
            if site in _INSIDE:
                act = self._inside(site, name, change)
                stack.enter_context(in_attention(anatomy, site, layer, act))
            else:
                stack.enter_context(self._at_module(anatomy, site, layer, change))
            yield

    def _closed(self) -> None:
        self.body.edited -= 1

    def _inside(self, site: str, name: str, change: StripChange) -> StripChange:
        of_queries = stands_in_source(name)
        of_keys = of_queries or group_of(name) == CROSS
        if site in _QUERIES_AND_KEYS:
            queries, keys = _QUERIES_AND_KEYS[site]
            return self._over_both(change, ((queries, of_queries), (keys, of_keys)))
        return self._over_both(change, ((1, of_keys if site in ("k", "v") else of_queries),))

    def _at_module(
        self, anatomy: Anatomy, site: str, layer: int, change: StripChange
    ) -> AbstractContextManager[None]:
        block, name, attention = self.blocks[layer], self.names[layer], self.attention(layer)
        act = self._over_both(change, ((1, stands_in_source(name)),))
        if site in _OF_MLP and not has_mlp(name):
            return attention.behind.at(self._of_nothing(anatomy, site, layer, change))
        match site:
            case "resid_pre":
                is_cross = group_of(name) == CROSS
                return block.own.behind.at(act) if is_cross else on_input(block.module, act)
            case "z":
                return on_input(attention.out_proj, _by_heads(act, anatomy.n_heads))
            case "attn_out":
                return on_output(attention.out_proj, act)
            case "resid_mid":
                return attention.behind.at(act)
            case "neuron":
                return on_input(block.down, act)
            case "mlp_out":
                return on_output(block.down, act)
            case "resid_post":
                return on_output(block.module, act) if has_mlp(name) else attention.behind.at(act)
        raise ValueError(f"no site {site!r}")

    def _of_nothing(
        self, anatomy: Anatomy, site: str, layer: int, change: StripChange
    ) -> StripChange:
        """What there is at a site of the MLP where there is none: zeros, and nothing comes of a change."""
        width = anatomy.d_model
        if site == "neuron":
            width = next(
                b.down for b, n in zip(self.blocks, self.names, strict=True) if has_mlp(n)
            ).in_features  # type: ignore[assignment]

        def act(stream: torch.Tensor) -> None:
            change(stream.new_zeros((len(stream), self.body.length, width)))

        return act

    def _over_both(self, change: StripChange, where: Sequence[tuple[int, bool]]) -> StripChange:
        """``change`` of an activation whose dimensions ``where`` are positions: of the source, or not."""
        body = self.body

        def act(own: torch.Tensor) -> torch.Tensor | None:
            whole = own
            for dim, of_source in where:
                whole = _widened(whole, dim, of_source, body.border, body.length)
            changed = change(whole)
            if changed is None or changed is whole:
                return None
            for dim, of_source in where:
                begin = 0 if of_source else body.border
                changed = changed.narrow(dim, begin, own.shape[dim])
            return changed

        return act


def _widened(
    own: torch.Tensor, dim: int, of_source: bool, border: int, length: int
) -> torch.Tensor:
    missing = list(own.shape)
    missing[dim] = length - own.shape[dim]
    if missing[dim] != (length - border if of_source else border):
        raise ValueError(
            f"{list(own.shape)} are not the positions of a strip of {border} of {length}"
        )
    nothing = own.new_zeros(missing)
    return torch.cat([own, nothing] if of_source else [nothing, own], dim=dim)


def _by_heads(act: StripChange, n_heads: int) -> StripChange:
    def split(flat: torch.Tensor) -> torch.Tensor | None:
        changed = act(flat.unflatten(-1, (n_heads, -1)))
        return None if changed is None else changed.reshape(flat.shape)

    return split
