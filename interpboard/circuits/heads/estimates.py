"""Effects of head edits before any is computed: one forward and one backward pass for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from interpboard.models.crossing import at_indices, back
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import most_numbers
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual, Edit, apply_edits
from interpboard.runs.gradients.sites import site_gradients
from interpboard.runs.metrics import Metric

NUMBERS_A_STEP = 1 << 22


def estimated_effects(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, cells: Sequence[Counterfactual | None]
) -> np.ndarray:
    """First-order estimate [counterfactual] of metric(edited) − metric(clean), for edits at ``z``.

    (edited − clean activation) · gradient of the metric, summed over the edits: attribution patching
    (Nanda 2023) towards whatever is put in place. Right where the metric is linear in between; blind to
    saturation and to what the edited head does to attention further on. NaN for a cell that is None. Raises
    ``Unsupported`` for a metric without a gradient.
    """
    base = site_gradients(lm, prompt, metric, "z")
    estimates = np.zeros(len(cells))
    by_layer: dict[int, dict[int, list[Edit]]] = {}
    for cell, edits in enumerate(cells):
        if edits is None:
            estimates[cell] = np.nan
        for edit in edits or ():
            by_layer.setdefault(edit.layer, {}).setdefault(cell, []).append(edit)
    found: list[tuple[list[int], torch.Tensor]] = []
    for layer, by_cell in by_layer.items():
        clean, gradient = base.activations[layer], base.gradients[layer]
        several = list(by_cell.items())
        at_once = max(1, most_numbers(NUMBERS_A_STEP, clean.device, 16) // clean.numel())
        for begin in range(0, len(several), at_once):
            some = several[begin : begin + at_once]
            change, slope = _change(clean, gradient, [edits for _, edits in some])
            # Products in the model's format, sums in float64: what cancels must not be lost.
            sums = (change * slope).flatten(1).sum(1, dtype=torch.float64)
            found.append(([cell for cell, _ in some], sums))
    read_back = back(*(sums for _, sums in found))  # at once: a layer would wait for the one before
    for (at, _), own in zip(found, read_back, strict=True):
        estimates[at] += own.numpy()
    return estimates


def _change(
    clean: torch.Tensor, gradient: torch.Tensor, cells: Sequence[Sequence[Edit]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the edits of each cell change in ``clean`` [pos, head, d_head], and the gradient there, both
    [cell, pos, …]: of the one head that each edits, where each edits one; elsewhere nothing changes."""
    heads = [{edit.head for edit in edits} for edits in cells]
    alone = [head for of_cell in heads for head in of_cell if head is not None]
    if all(len(of_cell) == 1 for of_cell in heads) and len(alone) == len(cells):
        given, slope = (
            at_indices(part.transpose(0, 1), alone)[:, :, None] for part in (clean, gradient)
        )
        cells = [[replace(edit, head=0) for edit in edits] for edits in cells]
    else:
        given, slope = clean.expand(len(cells), *clean.shape), gradient
    rows = [(row, edit) for row, edits in enumerate(cells) for edit in edits]
    return apply_edits(given, rows) - given, slope
