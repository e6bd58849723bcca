"""Attention patterns as the model's own eager attention gives them."""

from __future__ import annotations

import copy

import numpy as np
import torch

from interpboard.models.language_model import LanguageModel


def eager_patterns(lm: LanguageModel, ids: torch.Tensor) -> np.ndarray:
    """[layer, batch, head, query, key] by the model's own eager attention."""
    eager = copy.deepcopy(lm.model)
    eager.config._attn_implementation = "eager"
    with torch.no_grad():
        return torch.stack(eager(input_ids=ids, output_attentions=True).attentions).numpy()
