"""How much could have flowed from each token: maximum flow through the layers' attention."""

from __future__ import annotations

import numpy as np

from interpboard.attribution.fused_attention import (
    fused_attention,
    refuse_all_at_once,
    with_residual,
)
from interpboard.attribution.max_flow import max_flow
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo, token_axis
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric, reach
from interpboard.runs.watch import SILENT, Watch


@analysis("attention_flow", path="attention", refuses=refuse_all_at_once)
def attention_flow(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    fusion: str = "mean",
    discard: float = 0.0,
    watch: Watch = SILENT,
) -> Computed:
    """Maximum flow [token] from the metric's position down to each token, from 0 to 1.

    Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers": the layers' ½A + ½I (``fusion`` of
    heads and ``discard`` as in ``attention_rollout``) are the capacities of a graph with one node per
    position and layer; the score of a token is the most that can flow between it and the metric's position,
    computed exactly for each token by itself. Never below the widest path nor above 1; unlike rollout's
    shares the scores need not sum to 1, and tokens in front, with more ways up, tend to score higher.

    Raises ``Unsupported`` where patterns cannot be read, ``BadParameter``, ``Unaffordable``.
    """
    layers = fused_attention(lm, prompt, fusion, discard, watch)
    for layer in layers:  # one at a time: all of them once more would be as much again
        layer[:] = with_residual(layer)
    top, length = metric.info.position, len(prompt.token_ids)
    scores = np.zeros(length)
    sources = reach(lm, prompt, metric)
    flows = watch.once("flows", dict[int, float])
    for source in range(sources):
        if source not in flows:
            watch.step(source, sources)
            flows[source] = max_flow(layers, top, source)
        scores[source] = flows[source]
    watch.step(sources, sources)
    return Computed(
        values=scores,
        axes=(token_axis(prompt.tokens),),
    )
