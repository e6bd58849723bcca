"""The gradient of a metric with respect to the input embeddings, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.models.tail import forward_logits
from interpboard.results import PromptInfo
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids


@torch.no_grad()
def prompt_embeddings(lm: LanguageModel, prompt: PromptInfo) -> torch.Tensor:
    """The embedding module's output [pos, d_model] for the prompt."""
    embedded: torch.Tensor = lm.anatomy.embedding(input_ids(lm, prompt))[0]
    return embedded


def metric_and_gradient(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, embeddings: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Metric [rows] and its gradient [rows, pos, d_model] with ``embeddings`` in place of the prompt's.

    The parameters are frozen meanwhile, so the backward pass computes no gradient that is thrown
    away. Raises ``Unsupported`` for a metric without a gradient.
    """
    if not metric.differentiable:
        raise Unsupported(f"The metric {metric.info.name} has no gradient.", "Use logit or prob.")
    leaf = embeddings.detach().requires_grad_()
    ids = input_ids(lm, prompt).expand(len(leaf), -1)
    with (
        torch.enable_grad(),
        frozen(lm.model),
        at_site(lm.anatomy, "embed", None, lambda _clean: leaf),
    ):
        values = metric.of(forward_logits(lm.anatomy, ids, metric.info.position))
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
    return values.detach(), gradient


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """No parameter takes a gradient while this is open."""
    free = [p for p in model.parameters() if p.requires_grad]
    for parameter in free:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in free:
            parameter.requires_grad_(True)
