"""The metric of last residual streams, of no more logits at once than it needs and the device suits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch

from interpboard.models.faster_parts import faster_head
from interpboard.models.unembedding import residual_to_logits, residual_to_some_logits
from interpboard.runs.block_probability import is_one_probability, probability_by_blocks
from interpboard.runs.metrics import Metric
from interpboard.runs.record import Run

# On a CPU as many as its cache holds, on others as many as fill them.
_LOGITS_A_STEP = {"cpu": 1 << 21}
_MOST_LOGITS = 1 << 24


def metric_of_residual(run: Run, residual: torch.Tensor, metric: Metric) -> torch.Tensor:
    """``metric`` [row] of ``residual`` [row, d_model]."""
    anatomy = run.lm.anatomy
    if metric.tokens is not None and run.lm.verified.some_logits:
        tokens = torch.tensor(metric.tokens)
        return metric.of_tokens(residual_to_some_logits(anatomy, residual, tokens))
    proved = run.lm.verified
    rows = max(1, _LOGITS_A_STEP.get(residual.device.type, _MOST_LOGITS) // anatomy.n_logits)
    many = residual.device.type == "cpu" and rows < len(residual)
    if many and is_one_probability(metric) and proved.some_logits and proved.faster_head:
        return probability_by_blocks(anatomy, residual, metric)
    unembedded: Callable[[Any], torch.Tensor] = partial(residual_to_logits, anatomy)
    with faster_head(anatomy) if proved.faster_head else nullcontext():
        return torch.cat([metric.of(unembedded(part)) for part in residual.split(rows)])
