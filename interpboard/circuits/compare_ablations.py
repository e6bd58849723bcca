"""Does it matter what a head is replaced by? Several ablations of the same heads, side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from interpboard.circuits.replacements import replacement
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo, Result
from interpboard.runs.metrics import Metric
from interpboard.runs.provenance import made_by
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import SILENT, Watch


def compare_ablations(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    strategies: Sequence[str] = ("zero", "mean", "random"),
    components: Sequence[tuple[int, int]] | None = None,
    references: Sequence[str] = (),
    seed: int = 0,
    watch: Watch = SILENT,
) -> Result:
    """Effect [component, strategy] of ablating each head (layer, head); None: every head.

    Negative: the head helped. ``extra``: ``rank_agreement`` [strategy, strategy], Spearman's rank
    correlation of the effects over the components (NaN if a strategy's are all equal).

    Raises ``BadParameter`` for heads that the model does not have and unknown strategies.
    """
    started = time.perf_counter()
    heads = _components(lm, components)
    if not strategies:
        raise BadParameter("No strategy was given.", "Use e.g. zero, mean.")
    run = record(lm, prompt, sites=("z",))
    counterfactuals = []
    for strategy in strategies:
        replace = replacement(run, strategy, references, seed)
        counterfactuals += [(replace(layer, head),) for layer, head in heads]
    values = evaluate(run, counterfactuals, metric, watch=watch) - metric.baseline
    effects = values.reshape(len(strategies), len(heads)).T
    component = Axis("component", tuple(f"L{layer} H{head}" for layer, head in heads))
    axes = (component, Axis("strategy", tuple(strategies)))
    return Result(
        analysis="compare_ablations",
        params={
            "strategies": list(strategies),
            "components": [list(head) for head in heads],
            "references": list(references),
            "seed": seed,
        },
        metric=metric.info,
        baseline=metric.baseline,
        axes=axes,
        values=effects,
        extra={"rank_agreement": LabelledArray((axes[1], axes[1]), rank_agreement(effects))},
        elapsed_s=time.perf_counter() - started,
        made_by=made_by(lm.verified.path, seed),
    )


def rank_agreement(effects: np.ndarray) -> np.ndarray:
    """Spearman's correlation [column, column] of ``effects`` [row, column]; ties share their rank."""
    ranks = np.stack([_ranks(column) for column in effects.T])
    centred = ranks - ranks.mean(1, keepdims=True)
    norms = np.sqrt((centred**2).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        agreement: np.ndarray = centred @ centred.T / np.outer(norms, norms)
    return agreement


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: np.ndarray = (ends - (counts - 1) / 2)[inverse]
    return ranks


def _components(
    lm: LanguageModel, given: Sequence[tuple[int, int]] | None
) -> list[tuple[int, int]]:
    n_layers, n_heads = lm.anatomy.n_layers, lm.anatomy.n_heads
    if given is None:
        return [(layer, head) for layer in range(n_layers) for head in range(n_heads)]
    if not given:
        raise BadParameter("No component was given.", "Name heads as (layer, head).")
    for layer, head in given:
        if not (0 <= layer < n_layers and 0 <= head < n_heads):
            raise BadParameter(
                f"The model has no head {head} in layer {layer}.",
                f"It has layers 0 to {n_layers - 1} of heads 0 to {n_heads - 1}.",
            )
    return [(int(layer), int(head)) for layer, head in given]
