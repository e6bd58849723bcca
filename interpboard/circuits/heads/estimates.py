"""Effects of head edits before any is computed: one forward and one backward pass for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual, apply_edits
from interpboard.runs.gradients.sites import site_gradients
from interpboard.runs.metrics import Metric


def estimated_effects(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, cells: Sequence[Counterfactual]
) -> np.ndarray:
    """First-order estimate [counterfactual] of metric(edited) − metric(clean), for edits at ``z``.

    (edited − clean activation) · gradient of the metric, summed over the edits: attribution patching
    (Nanda 2023) towards whatever is put in place. Right where the metric is linear in between; blind to
    saturation and to what the edited head does to attention further on. Raises ``Unsupported`` for a
    metric without a gradient.
    """
    base = site_gradients(lm, prompt, metric, "z")
    found = []
    for edits in cells:
        total = 0.0
        for layer in {edit.layer for edit in edits}:
            clean = base.activations[layer][None]
            here = [(0, edit) for edit in edits if edit.layer == layer]
            change = (apply_edits(clean, here) - clean)[0]
            total += float((change * base.gradients[layer]).to(torch.float64).sum())
        found.append(total)
    return np.array(found)
