"""The integral of the metric's gradient along straight paths of embeddings."""

from __future__ import annotations

import numpy as np
import torch

from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.gradients.embeddings import each_gradient, wide
from interpboard.runs.metrics import Metric
from interpboard.runs.watch import Watch


def path_integrals(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    start: torch.Tensor,
    ends: torch.Tensor,
    rule: tuple[np.ndarray, np.ndarray],
    watch: Watch,
) -> torch.Tensor:
    """(end − start) · ∫ gradient from ``start`` [pos, d_model] to each of ``ends``, summed over d_model.

    ``ends`` [end, pos, d_model], the answer [end, pos]. ``rule``: points and weights, see
    ``quadrature``. The memory taken does not grow with their number.
    """
    points, weights = (torch.tensor(part).to(ends.device, wide(ends)) for part in rule)
    paths = ends - start
    scores = torch.zeros(ends.shape[:2], dtype=wide(ends), device=ends.device)

    def along(first: int, last: int) -> torch.Tensor:
        index = torch.arange(first, last, device=ends.device)
        alphas = points[index % len(points), None, None]
        return (start + alphas * paths[index // len(points)]).to(ends.dtype)

    def take(first: int, inputs: torch.Tensor, gradients: torch.Tensor) -> None:
        index = torch.arange(first, first + len(inputs), device=ends.device)
        end = index // len(points)
        shares = (gradients.to(scores.dtype) * paths[end].to(scores.dtype)).sum(-1)
        scores.index_add_(0, end, weights[index % len(points), None] * shares)

    each_gradient(lm, prompt, metric, len(points) * len(ends), along, take, watch)
    return scores
