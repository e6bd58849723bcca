"""captum: integrated gradients with respect to the embedding layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from captum.attr import LayerIntegratedGradients


class Engine:
    """Only attribution; see ``benchmarks.attribution``."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def integrated_gradients(
        self, ids: list[int], target: int, baseline: int, n_steps: int, rows: int, kept: int = 0
    ) -> np.ndarray:
        """[token], ``rows`` points at a time; ``kept``: positions whose logits are computed, 0: all."""

        def forward(given: torch.Tensor) -> torch.Tensor:
            return self.model(input_ids=given, logits_to_keep=kept).logits[:, -1]

        given = torch.tensor([ids], device=self.model.device)
        method = LayerIntegratedGradients(forward, self.model.get_input_embeddings())
        found = method.attribute(
            given,
            baselines=torch.full_like(given, baseline),
            target=target,
            n_steps=n_steps,
            method="gausslegendre",
            internal_batch_size=rows,
        )
        return found[0].sum(-1).detach().cpu().numpy()
