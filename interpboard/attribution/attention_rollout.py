"""Where information may have come from: attention followed down through all layers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch

from interpboard.attribution.fused_attention import block_bytes, each_fused, with_residual
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import require_room_for_tokens
from interpboard.results import Axis, LabelledArray, PromptInfo, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.steps import bytes_of_a_layer
from interpboard.runs.watch import SILENT, Watch

_MATRICES = 3  # [query, key] in float64: the layers so far, the next of them, and rows on their way


def refuse_rollout(lm: LanguageModel, prompt: PromptInfo, _params: Mapping[str, Any]) -> None:
    """Raise ``Unaffordable`` where the product of the layers and a block of patterns have no room."""
    length = len(prompt.token_ids)
    require_room_for_tokens(
        torch.device("cpu"), lambda n: _MATRICES * 8 * n**2 + block_bytes(lm, n), length,
        f"The product of the layers' attention of {length:,}²", beside=partial(bytes_of_a_layer, lm),
    )  # fmt: skip


@analysis("attention_rollout", path="attention", refuses=refuse_rollout)
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
    rolling = Rollout(len(prompt.token_ids), lm.verified.causal)

    def take(_layer: int, rows: np.ndarray, first: int) -> None:
        rolling.take(with_residual(rows, first), first)

    each_fused(lm, prompt, fusion, discard, take, watch)
    return rolling.computed(prompt, metric)


class Rollout:
    """The product [query, key] of the layers so far, the first applied first, in the memory of two layers.

    ``causal``: no row has anything behind its own position.
    """

    def __init__(self, length: int, causal: bool) -> None:
        self.through, self._next = np.eye(length), np.zeros((length, length))
        self._causal = causal

    def take(self, rows: np.ndarray, first: int) -> None:
        """The next rows [query, key] of the layer under way, which begin at position ``first``."""
        end = first + len(rows)
        seen = end if self._causal else rows.shape[1]
        self._next[first:end] = rows[:, :seen] @ self.through[:seen]
        if end == len(self._next):
            self.through, self._next = self._next, self.through

    def computed(self, prompt: PromptInfo, metric: Metric) -> Computed:
        """The row of the metric's position, and the whole in ``extra``."""
        axes = (Axis("query", prompt.tokens), Axis("key", prompt.tokens))
        return Computed(
            values=self.through[metric.info.position],
            axes=(token_axis(prompt.tokens),),
            extra={"rollout": LabelledArray(axes, self.through)},
        )
