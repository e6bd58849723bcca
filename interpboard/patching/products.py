"""From gradients to the cells of a grid: how a change of activations adds up to each cell's estimate.

A first-order estimate of a cell is (donor − base activation) · gradient, summed over what the cell holds.
For queries and keys that is wrong where the softmax saturates. The QK fix of AtP* puts the change of
the attention pattern in the place of the change of the query or key: the pattern is computed anew, by
the model's own attention, and only what comes behind it is taken to be linear.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interpboard.patching.grid import Grid
from interpboard.patching.one_layer import seen_in_layer
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.record import Run
from interpboard.runs.watch import Watch

Gradients = Sequence[torch.Tensor]  # by layer, [pos, …]

QK_SITES = ("q", "k")
_KEYS_A_STEP = 8


def linear_products(
    grid: Grid, base: Gradients, donor: Run, gradients: Sequence[Gradients]
) -> torch.Tensor:
    """Estimates [gradient, …grid] of each of ``gradients`` for the donor's activations in place.

    ``base`` are the activations at the grid's site of the run patched into.
    """
    layers = []
    for layer, activation in enumerate(base):
        change = donor.sites[grid.site][layer][0].to(activation) - activation
        layers.append(torch.stack([_along(grid, change * own[layer]) for own in gradients]))
    return torch.stack(layers, dim=1)


def pattern_products(
    grid: Grid, base: Run, donor: Run, gradients: Sequence[Gradients], watch: Watch
) -> torch.Tensor:
    """The same for queries or keys, by the change they make to the pattern [query, head, key].

    ``gradients`` are those with respect to the pattern. ``base`` is the run patched into.
    """
    layers = []
    for layer in range(base.lm.anatomy.n_layers):
        slopes = torch.stack([own[layer] for own in gradients])
        value = donor.sites[grid.site][layer][0]
        if grid.site == "k":
            layers.append(_of_keys(grid, base, layer, value, slopes, watch))
            continue
        change = _pattern_changes(base, layer, [Edit("q", layer, "patch", value=value)], watch)[0]
        layers.append(torch.stack([_along(grid, change * slope) for slope in slopes]))
    return torch.stack(layers, dim=1)


def _of_keys(
    grid: Grid, base: Run, layer: int, value: torch.Tensor, slopes: torch.Tensor, watch: Watch
) -> torch.Tensor:
    """[gradient, …]: a key changes the pattern of every later query and of all heads that share it."""
    if grid.along == "head":
        edits = [Edit("k", layer, "patch", value=value)]
    else:
        edits = [
            Edit("k", layer, "patch", positions=(position,), value=value[position : position + 1])
            for position in range(len(value))
        ]
    found = []
    for start in range(0, len(edits), _KEYS_A_STEP):
        changes = _pattern_changes(base, layer, edits[start : start + _KEYS_A_STEP], watch)
        found.append(torch.einsum("pqhk,gqhk->gph", changes, slopes))
    n_kv_heads = base.lm.anatomy.n_kv_heads
    per_head = torch.cat(found, dim=1)  # [gradient, position, head]
    shared = per_head.unflatten(-1, (n_kv_heads, -1)).sum(-1)
    if grid.along == "head":
        return shared[:, 0]
    return shared.sum(-1) if grid.along == "position" else shared.transpose(1, 2)


def _pattern_changes(base: Run, layer: int, edits: Sequence[Edit], watch: Watch) -> torch.Tensor:
    """Changes [edit, query, head, key] of the pattern of ``layer``."""
    rows: list[Counterfactual] = [(), *((edit,) for edit in edits)]
    length = len(base.prompt.token_ids)
    patterns = seen_in_layer(base, layer, rows, ("pattern",), 0, length, watch=watch)["pattern"]
    return patterns[1:] - patterns[:1]


def _along(grid: Grid, product: torch.Tensor) -> torch.Tensor:
    """``product`` [pos, …] of one layer summed to the grid's remaining axes."""
    if grid.along == "position":
        return product.flatten(1).sum(-1)
    if grid.along == "neuron":
        return product.sum(0)
    if grid.along == "head":
        return product.sum((0, 2))
    return product.sum(-1).T
