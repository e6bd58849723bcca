"""From gradients to the cells of a grid: how a change of activations adds up to each cell's estimate.

A first-order estimate of a cell is (donor − base activation) · gradient, summed over what the cell holds.
For queries and keys that is wrong where the softmax saturates. The QK fix of AtP* puts the change of
the attention pattern in the place of the change of the query or key: the pattern is computed anew, by
the model's own attention, and only what comes behind it is taken to be linear. What comes right behind it,
the sum over the values, is linear: so the change of that sum is taken, [pos, head, d_head], in the place of
a pattern's, and no pattern of a long prompt is ever there.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interpboard.patching.donor import Donor
from interpboard.patching.grid import Grid
from interpboard.patching.one_layer import seen_in_layer
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.gradients.sites import LayerGradients
from interpboard.runs.record import Run
from interpboard.runs.watch import Watch

QK_SITES = ("q", "k")
_KEYS_A_STEP = 8


def linear_products(grid: Grid, donor: Donor, at: LayerGradients) -> torch.Tensor:
    """Estimates [gradient, …] of one layer's cells for the donor's activation in place of its own."""
    if at.layer in grid.without:
        return _nothing(grid, at)
    change = donor.change(at.layer, at.activation)
    found = torch.stack([_along(grid, change * gradient) for gradient in at.gradients])
    if not grid.widths:
        return found
    narrower = max(grid.widths) - grid.widths[at.layer]
    return torch.nn.functional.pad(found, (0, narrower), value=torch.nan)


def _nothing(grid: Grid, at: LayerGradients) -> torch.Tensor:
    """Of a layer that lacks the site."""
    return torch.full((len(at.gradients), *grid.shape[1:]), torch.nan, device=at.activation.device)


def pattern_products(
    grid: Grid, base: Run, donor: Donor, at: LayerGradients, watch: Watch
) -> torch.Tensor:
    """The same for queries or keys, by the change that the pattern they make makes to what it attends to.

    ``at`` has the gradients at ``attended``. ``base`` is the run patched into.
    """
    if at.layer in grid.without:
        return _nothing(grid, at)
    value = donor.values[at.layer]
    if grid.site == "k":
        return _of_keys(grid, base, value, at, watch)
    edits = [Edit("q", at.layer, "patch", value=value)]
    change = _attended_changes(base, at.layer, edits, watch)[0]
    return torch.stack([_along(grid, change * slope) for slope in at.gradients])


def _of_keys(
    grid: Grid, base: Run, value: torch.Tensor, at: LayerGradients, watch: Watch
) -> torch.Tensor:
    """[gradient, …]: a key changes the pattern of every later query and of all heads that share it."""
    if grid.along == "head":
        edits = [Edit("k", at.layer, "patch", value=value)]
    else:
        edits = [
            Edit("k", at.layer, "patch", positions=(p,), value=value[p : p + 1])
            for p in range(len(value))
        ]
    found = []
    for start in range(0, len(edits), _KEYS_A_STEP):
        changes = _attended_changes(base, at.layer, edits[start : start + _KEYS_A_STEP], watch)
        found.append(
            torch.stack([torch.einsum("pqhd,qhd->ph", changes, slope) for slope in at.gradients])
        )
    n_kv_heads = base.lm.anatomy.n_kv_heads
    per_head = torch.cat(found, dim=1)  # [gradient, position, head]
    shared = per_head.unflatten(-1, (n_kv_heads, -1)).sum(-1)
    if grid.along == "head":
        return shared[:, 0]
    return shared.sum(-1) if grid.along == "position" else shared.transpose(1, 2)


def _attended_changes(base: Run, layer: int, edits: Sequence[Edit], watch: Watch) -> torch.Tensor:
    """Changes [edit, pos, head, d_head] of what the pattern of ``layer`` makes of the values."""
    rows: list[Counterfactual] = [(), *((edit,) for edit in edits)]
    length = len(base.prompt.token_ids)
    attended = seen_in_layer(base, layer, rows, ("attended",), 0, length, watch=watch)["attended"]
    return attended[1:] - attended[:1]


def _along(grid: Grid, product: torch.Tensor) -> torch.Tensor:
    """``product`` [pos, …] of one layer summed to the grid's remaining axes."""
    if grid.along == "position":
        return product.flatten(1).sum(-1)
    if grid.along in ("neuron", "expert"):
        return product.sum(0)
    if grid.along == "head":
        return product.sum((0, 2))
    return product.sum(-1).T
