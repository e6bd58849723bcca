"""Layers that are one module called many times (albert), given a module each with the same weights.

A hook on a shared module fires in every layer, so an edit of one layer would be made in all. The model that
is looked into is a copy whose layers stand apart; every parameter and buffer is the given model's own, so
that nothing is computed otherwise and no weight takes memory twice. The given model stays as it was.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

_SHARED = "albert_layer_groups"


def unshared(model: nn.Module) -> nn.Module:
    """``model`` itself where no layer is shared, else the copy."""
    groups = _groups_of(model)
    if groups is None:
        return model
    n_layers = int(groups[0].config.num_hidden_layers)
    if len(groups[1]) == n_layers:
        return model
    apart: nn.Module = _copy(model)
    found = _groups_of(apart)
    assert found is not None
    owner, shared = found
    # As transformers counts them: so many layers follow each other in a group.
    each = n_layers / len(shared)
    chosen = [shared[int(layer / each)] for layer in range(n_layers)]
    owner.albert_layer_groups = nn.ModuleList(_copy(group) for group in chosen)
    config: Any = copy.deepcopy(apart.config)
    config.num_hidden_groups = n_layers
    for module in apart.modules():
        if getattr(module, "config", None) is not None:
            module.config = config
    return apart


def _groups_of(model: nn.Module) -> tuple[Any, nn.ModuleList] | None:
    for module in model.modules():
        groups = getattr(module, _SHARED, None)
        if isinstance(groups, nn.ModuleList):
            return module, groups
    return None


def _copy(module: nn.Module) -> Any:
    """A copy of ``module`` whose parameters and buffers are its own."""
    tensors: list[torch.Tensor] = [*module.parameters(), *module.buffers()]
    return copy.deepcopy(module, {id(tensor): tensor for tensor in tensors})
