"""The probability of one token, from the vocabulary a block at a time.

Of many rows all logits are more than a cache holds, and of few rows the product reads the whole unembedding
for little. So many rows meet a block of tokens at once, of whose logits the largest and the sum of
exponentials stay. What the head does behind the unembedding is its own, as for a few logits
(``Verified.some_logits``).
"""

from __future__ import annotations

import torch
from torch.nn.functional import linear

from interpboard.models.anatomy import Anatomy
from interpboard.models.faster_parts import product, products_are_faster
from interpboard.models.finite import finite_logits
from interpboard.models.unembedding import unembed_between
from interpboard.runs.metrics import Metric, at_least_float32

NUMBERS = 1 << 20
"""Logits that are there at once: 4 MiB in float32."""
_NAMES = ("prob", "logprob")


def is_one_probability(metric: Metric) -> bool:
    """Whether ``metric`` is the probability of one token among all, or its logarithm."""
    return metric.info.name in _NAMES and not metric.independent and metric.other is None


def probability_by_blocks(anatomy: Anatomy, residual: torch.Tensor, metric: Metric) -> torch.Tensor:
    """``metric`` [row] of last residual streams [row, d_model]; NaN as in ``Metric.of``.

    Raises ``TypeError`` where the unembedding is no linear map.
    """
    normed = anatomy.final_norm(residual)
    width = max(1, NUMBERS // len(residual))
    by = product if products_are_faster() else linear
    largest, sums, fine = [], [], []
    target = residual.new_empty(0)
    for begin in range(0, anatomy.n_logits, width):
        tokens = slice(begin, min(begin + width, anatomy.n_logits))
        logits = unembed_between(anatomy, normed, tokens, by)
        masked = None if metric.masked is None else metric.masked[tokens]
        fine.append(finite_logits(logits, masked))
        logits = at_least_float32(logits)
        if tokens.start <= metric.target_id < tokens.stop:
            target = logits[:, metric.target_id - begin].clone()
        # A block that is masked whole has no finite number to be measured from.
        top = logits.amax(-1).clamp(min=torch.finfo(logits.dtype).min)
        largest.append(top)
        sums.append((logits - top[:, None]).exp_().sum(-1))
    tops = torch.stack(largest)
    top = tops.amax(0)
    total = (torch.stack(sums) * (tops - top).exp()).sum(0)
    own = target - top
    found = own.exp() / total if metric.info.name == "prob" else own - total.log()
    return found.masked_fill(~torch.stack(fine).all(0), torch.nan)
