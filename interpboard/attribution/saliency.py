"""Which tokens mattered: the size of the metric's gradient at each token's embedding."""

from __future__ import annotations

import torch

from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.gradients.embeddings import (
    metric_and_gradient,
    prompt_embeddings,
    require_slope,
)
from interpboard.runs.metrics import Metric
from interpboard.runs.room import refuse_a_gradient_without_room
from interpboard.runs.watch import SILENT, Watch

NORMS = ("l2", "l1", "sum")


@analysis("saliency", path="autograd", refuses=refuse_a_gradient_without_room)
def saliency(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    norm: str = "l2",
    watch: Watch = SILENT,
) -> Computed:
    """Score [token]: the gradient of the metric with respect to the token's embedding, as one number.

    Simonyan, Vedaldi and Zisserman 2013, "Deep Inside Convolutional Networks". In units of the metric
    per unit of embedding. ``norm``: ``l2`` and ``l1`` are never negative and say how much a small change
    matters, not which way; ``sum`` is signed: the slope along all dimensions at once
    (a layer norm right behind the embedding does not see that, and it is then 0).
    Raises ``Unsupported`` for a metric without a gradient, ``BadParameter`` for another norm.
    """
    require_norm(norm)
    watch.step(0, 1)
    inputs = prompt_embeddings(lm, prompt)
    require_slope(metric)
    gradient = metric_and_gradient(lm, prompt, metric, inputs[None])[1][0]
    scores = normed(gradient, norm)
    watch.step(1, 1)
    return Computed(
        values=scores.cpu().numpy(),
        axes=(token_axis(prompt.tokens),),
    )


def require_norm(norm: str) -> None:
    """Raise ``BadParameter`` for a norm that there is not."""
    if norm not in NORMS:
        raise BadParameter(f"There is no norm {norm!r}.", f"Use {', '.join(NORMS)}.")


def normed(gradient: torch.Tensor, norm: str) -> torch.Tensor:
    """``gradient`` [..., d_model] as one number each, in at least float32."""
    wide = gradient if gradient.dtype == torch.float64 else gradient.float()
    if norm == "sum":
        return wide.sum(-1)
    return wide.norm(p=1 if norm == "l1" else 2, dim=-1)
