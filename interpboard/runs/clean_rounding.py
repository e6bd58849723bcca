"""How far the metric of one prompt is from itself: the clean run again, in batches of other shapes.

In 16 bits a product of another shape is summed in another order, and the metric of the same prompt moves by
as much as many a head does. The rows of a grid are run in other shapes than the clean run that they are held
against, so an effect below that says nothing of the head.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interpboard.models.language_model import LanguageModel
from interpboard.registry.metric_names import COSINE
from interpboard.results import PromptInfo
from interpboard.runs.finite import clean_logits, run_words
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.rounding import is_fine
from interpboard.runs.steps import StepSize

FEW, MANY = 2, 8
"""Rows of the two batches, where as many fit in a step."""


def clean_rounding(lm: LanguageModel, prompt: PromptInfo, metric: Metric) -> float | None:
    """The largest difference of ``metric`` between runs of the prompt that differ by their batch alone, and
    at least one step of the model's number format. None for a model of 32 or 64 bits: there what is no more
    than rounding is 0 already (``runs.rounding``). The runs are made once for a ``metric``
    and batches of one size.

    Raises ``NotFinite``.
    """
    if is_fine(getattr(torch, lm.info.dtype)):
        return None
    most = StepSize(lm, None).rows(0, len(prompt.token_ids))
    batches = sorted({min(FEW, most), min(MANY, most)})
    name = f"rounding in batches of {batches}"
    if name not in metric.measured:
        metric.measured[name] = _measured(lm, prompt, metric, batches)
    return metric.measured[name]


@torch.no_grad()
def _measured(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, batches: Sequence[int]
) -> float:
    ids, position = input_ids(lm, prompt), metric.info.position
    values = [metric.baseline]
    for rows in batches:
        logits = clean_logits(lm, ids.expand(rows, -1), position, run_words(prompt))
        values += metric.of(logits).tolist()
    return max(max(values) - min(values), _one_step(lm, metric))


def _one_step(lm: LanguageModel, metric: Metric) -> float:
    """What the last bit of the largest logit that the metric reads does to it, to first order."""
    eps = float(torch.finfo(getattr(torch, lm.info.dtype)).eps)
    name = metric.info.name
    if name in (
        "rank",
        "kl",
    ):  # counted; and least at the clean run, so that no first order is there
        return 0.0
    if name == COSINE:
        return eps
    read = metric.clean_logits[list(metric.tokens or (metric.target_id,))]
    step = eps * float(read.double().abs().max())
    return step * metric.baseline if name == "prob" else step
