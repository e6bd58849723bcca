"""Where information may have come from: attention followed down through all layers."""

from __future__ import annotations

import numpy as np

from interpboard.attribution.fused_attention import fused_attention, with_residual
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.watch import SILENT, Watch


@analysis("attention_rollout", path="attention")
def attention_rollout(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    fusion: str = "mean",
    discard: float = 0.0,
    watch: Watch = SILENT,
) -> Computed:
    """Share [token] of the metric's position that comes from each token, at least 0, summing to 1.

    Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers": the product of ½A + ½I over the
    layers, A the attention with its heads fused (``fusion``: mean, max, min), rows made to sum to 1.
    ``discard``: share of each row's smallest entries left out first (ours, not the paper's).
    ``extra["rollout"]`` [query, key] has every position. It knows nothing of values, MLPs or the metric:
    where attention could have carried something from, not what mattered.

    Raises ``Unsupported`` where patterns cannot be read, ``BadParameter``.
    """
    layers = fused_attention(lm, prompt, fusion, discard, watch)
    return rolled_out(with_residual(layers), prompt, metric)


def rollout(layers: np.ndarray) -> np.ndarray:
    """The product [query, key] of ``layers`` [layer, query, key], the first applied first."""
    through = np.eye(layers.shape[-1])
    for layer in layers:
        through = layer @ through
    return through


def rolled_out(layers: np.ndarray, prompt: PromptInfo, metric: Metric) -> Computed:
    """The row of the metric's position, and the whole in ``extra``."""
    through = rollout(layers)
    axes = (Axis("query", prompt.tokens), Axis("key", prompt.tokens))
    return Computed(
        values=through[metric.info.position],
        axes=(token_axis(prompt.tokens),),
        extra={"rollout": LabelledArray(axes, through)},
    )
