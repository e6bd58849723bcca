"""Proof of ``models.fewer_passes``: each module against itself, on streams of all sizes, and the layer with
all of them against the layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from interpboard.models.calls import LayerCall
from interpboard.models.faster_parts import Forward
from interpboard.models.fewer_passes import (
    GatedMlp,
    PassNames,
    in_fewer_passes,
    standin_of,
    standins_of,
)
from interpboard.models.module_hooks import on_output, standing_in
from interpboard.models.packed import in_width
from interpboard.models.proof.rounding import differs, same_within_rounding
from interpboard.models.proof.shortcuts import MISFIT
from interpboard.models.rotary_attention import RotaryAttention
from interpboard.models.standin import Standin

# A norm's ε counts where streams are small; squares leave float32 where they are large.
_SIZES = (1e-30, 1e-5, 1e-2, 1.0, 30.0, 1e4, 1e18, 1e25)
_SIZES_OF_NEURONS = (1e-3, 1.0, 30.0, 1e3)


@torch.no_grad()
def fewer_passes_names(
    calls: Sequence[LayerCall], kinds: Sequence[int], proved: Sequence[int]
) -> tuple[PassNames, ...]:
    """By layer, what of it may compute so: what holds in all layers ``proved`` of its kind."""
    found = {layer: _proved(calls[layer]) for layer in proved}
    by_kind: dict[int, PassNames] = {}
    for kind in set(kinds):
        names = {found[layer] for layer in proved if kinds[layer] == kind}
        by_kind[kind] = names.pop() if len(names) == 1 else ()
    by_layer = tuple(by_kind[kind] for kind in kinds)
    return by_layer if any(by_layer) else ()


def _proved(call: LayerCall) -> PassNames:
    try:
        fitting = [
            (name, found)
            for name, module in call.layer.named_modules()
            if (found := standin_of(module)) is not None and _agrees(found, call)
        ]
        names = tuple(name for name, _ in fitting)
        plain = call.replay(call.hidden[:])
        standins = standins_of(call.layer, names)
        with in_fewer_passes(standins):
            together = call.replay(call.hidden[:])
    except MISFIT:
        return ()
    took = all(standin.took for standin in standins)
    return names if names and took and same_within_rounding(together, plain) else ()


def _agrees(standin: Standin, call: LayerCall) -> bool:
    if isinstance(standin, RotaryAttention):
        return _attends_alike(standin, call)
    module: Any = standin.module
    gated = isinstance(standin, GatedMlp)
    width = in_width(module.gate_proj) if gated else len(module.weight)
    given = torch.randn(1, 3, width, generator=torch.Generator().manual_seed(6))
    for size in _SIZES_OF_NEURONS if gated else _SIZES:
        own = standin.own(size * given)
        if not _same(standin.forward(size * given), own):
            return False
    return standin.took > 0


def _attends_alike(standin: Standin, call: LayerCall) -> bool:
    """Of the recorded row beside another one, begun at the first position and behind recorded keys and
    values: what attention gives, and the keys and values that it makes."""
    hidden = call.hidden[:].repeat(2, 1, 1)
    hidden[1, 2:] = call.hidden[0, 2:].flip(-1)
    try:
        call.keys_and_values()  # recorded as ever, and before anybody listens
        for first in (0, 3):
            own, found = (
                _attended(standin.module, forward, call, hidden[:, first:], first)
                for forward in (standin.own, standin.forward)
            )
            if not differs(own[0][:1], own[0][1:]):
                return False  # it would show nothing
            if not all(map(same_within_rounding, found, own)):
                return False
    except MISFIT:
        return False
    return standin.took == 4


def _attended(
    attention: nn.Module, forward: Forward, call: LayerCall, hidden: torch.Tensor, first: int
) -> list[torch.Tensor]:
    """What ``attention`` gives by ``forward``, and the keys and values that it makes."""
    seen: list[torch.Tensor] = []
    with standing_in(attention, forward), on_output(attention, seen.append):
        call.replay(hidden, first=first)
        return [*seen, *call.keys_values_of(hidden, first=first)]


def _same(found: torch.Tensor, own: torch.Tensor) -> bool:
    """Also where it is too small to be told from nothing, or squares left the format and a norm gives 0."""
    if not bool(own.isfinite().all()):
        return torch.equal(found.isfinite(), own.isfinite())
    return same_within_rounding(found, own)
