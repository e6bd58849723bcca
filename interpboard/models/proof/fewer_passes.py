"""Proof of ``models.fewer_passes``: each module against itself, on streams of all sizes, and the layer with
all of them against the layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interpboard.models.calls import LayerCall
from interpboard.models.fewer_passes import (
    GatedMlp,
    PassNames,
    Standin,
    in_fewer_passes,
    standin_of,
    standins_of,
)
from interpboard.models.packed import in_width
from interpboard.models.proof.rounding import same_within_rounding
from interpboard.models.proof.shortcuts import MISFIT

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
            if (found := standin_of(module)) is not None and _agrees(found)
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


def _agrees(standin: Standin) -> bool:
    module = standin.module
    gated = isinstance(standin, GatedMlp)
    width = in_width(module.gate_proj) if gated else len(module.weight)  # type: ignore
    given = torch.randn(1, 3, width, generator=torch.Generator().manual_seed(6))
    for size in _SIZES_OF_NEURONS if gated else _SIZES:
        own = standin.own(size * given)
        if not _same(standin.forward(size * given), own):
            return False
    return standin.took > 0


def _same(found: torch.Tensor, own: torch.Tensor) -> bool:
    """Also where it is too small to be told from nothing, or squares left the format and a norm gives 0."""
    if not bool(own.isfinite().all()):
        return torch.equal(found.isfinite(), own.isfinite())
    return same_within_rounding(found, own)
