"""The integral of the metric's gradient along straight paths of embeddings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from interpboard.models.crossing import to_device
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.gradients.embeddings import each_gradient, wide
from interpboard.runs.kept import checksum
from interpboard.runs.metrics import Metric
from interpboard.runs.watch import Watch


@dataclass
class _Found:
    """What each of the first ``done`` inputs adds, [input, pos]."""

    shares: torch.Tensor
    done: int


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
    points, weights = (to_device(torch.tensor(part).to(wide(ends)), ends.device) for part in rule)
    count = len(points) * len(ends)
    # Of each input what it adds is kept, so that the integral is gone on with where it gave way.
    name = ""
    if watch.kept is not None:  # each checksum is read back from the device
        sums = [checksum(part) for part in (start, ends, points, weights)]
        name = f"path {prompt.token_ids} {metric.info} {sums}"
    found = watch.once(name, lambda: _Found(weights.new_zeros(count, ends.shape[1]), 0))

    def paths(index: torch.Tensor) -> torch.Tensor:  # made as they are needed: there may be many
        return ends[index // len(points)] - start

    def along(first: int, last: int) -> torch.Tensor:
        index = torch.arange(first, last, device=ends.device)
        alphas = points[index % len(points), None, None]
        return (start + alphas * paths(index)).to(ends.dtype)

    def take(first: int, inputs: torch.Tensor, gradients: torch.Tensor) -> None:
        index = torch.arange(first, first + len(inputs), device=ends.device)
        shares = (gradients.to(weights.dtype) * paths(index).to(weights.dtype)).sum(-1)
        found.shares[index] = weights[index % len(points), None] * shares
        found.done = first + len(inputs)

    each_gradient(lm, prompt, metric, count, along, take, watch, found.done)
    return found.shares.unflatten(0, (len(ends), len(points))).sum(1)
