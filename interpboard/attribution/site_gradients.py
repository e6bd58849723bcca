"""The gradient of a metric with respect to activations at a site, all layers from one backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch

from interpboard.attribution.embedding_gradient import frozen
from interpboard.errors import Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.models.tail import forward_logits
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import enter_edits


@dataclass(frozen=True)
class SiteGradients:
    """``activations[layer]`` and ``gradients[layer]`` [pos, …] of one run; ``metric`` on it."""

    activations: tuple[torch.Tensor, ...]
    gradients: tuple[torch.Tensor, ...]
    metric: float


def site_gradients(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    site: str,
    *,
    edits: Counterfactual = (),
    without: Sequence[int] = (),
) -> SiteGradients:
    """Activations at ``site`` of every layer, and the metric's gradient with respect to them.

    ``edits`` are made first. In the layers ``without`` what attention and MLP add passes no gradient
    (GradDrop). Raises ``Unsupported`` for a metric without a gradient or a site that is not there.
    """
    if not metric.differentiable:
        raise Unsupported(f"The metric {metric.info.name} has no gradient.", "Use logit or prob.")
    lm.verified.require_site(site)
    seen: list[torch.Tensor] = []

    def pass_on(value: torch.Tensor) -> torch.Tensor:
        # A copy that stands in the way of the gradient; where nothing upstream has one, it begins here.
        copy = value.clone() if value.requires_grad else value.detach().clone().requires_grad_()
        seen.append(copy)
        return copy

    layers = [0] if site == "embed" else range(lm.anatomy.n_layers)
    with ExitStack() as stack:
        stack.enter_context(torch.enable_grad())
        stack.enter_context(frozen(lm.model))
        enter_edits(stack, lm, [edits], lambda _edit: True)
        for layer in without:
            for added in ("attn_out", "mlp_out"):
                stack.enter_context(at_site(lm.anatomy, added, layer, torch.Tensor.detach))
        for layer in layers:
            stack.enter_context(at_site(lm.anatomy, site, layer, pass_on))
        logits = forward_logits(lm.anatomy, input_ids(lm, prompt), metric.info.position)
        value = metric.of(logits)[0]
        gradients = torch.autograd.grad(value, seen, allow_unused=True)
    return SiteGradients(
        tuple(activation.detach()[0] for activation in seen),
        tuple(
            torch.zeros_like(activation[0]) if gradient is None else gradient[0]
            for activation, gradient in zip(seen, gradients, strict=True)
        ),
        float(value.detach()),
    )
