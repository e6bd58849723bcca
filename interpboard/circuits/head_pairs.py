"""Heads that stand in for each other: ablated together, against the sum of each alone."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from interpboard.circuits.head_ablation import head_ablation
from interpboard.circuits.replacements import OF_THE_PROMPT, replacement
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo, Result
from interpboard.runs.metrics import Metric
from interpboard.runs.provenance import made_by
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import SILENT, Watch


def head_pairs(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    ablation: str = "zero",
    top_k: int = 8,
    references: Sequence[str] = (),
    seed: int = 0,
    watch: Watch = SILENT,
) -> Result:
    """Interaction [head_a, head_b] = effect(both) − effect(a) − effect(b), for the ``top_k`` heads.

    Those are the heads with the largest effects alone. Negative: together they cost more than apart, as
    backups of each other do. The diagonal is NaN. ``extra``: ``joint`` (effect of both) and ``alone``
    [head_a].
    """
    started = time.perf_counter()
    if top_k < 2:
        raise BadParameter("Pairs need at least two heads.", "Raise top_k.")
    single = head_ablation(
        lm,
        prompt,
        metric,
        ablation=ablation,
        references=references,
        seed=seed,
        watch=Watch(cancelled=watch.cancelled),
    )
    heads = strongest(single.values, top_k)
    run = record(lm, prompt, sites=("z",) if ablation in OF_THE_PROMPT else ())
    replace = replacement(run, ablation, references, seed)
    pairs = [(i, j) for i in range(len(heads)) for j in range(i)]
    joint = evaluate(
        run,
        [(replace(*heads[i]), replace(*heads[j])) for i, j in pairs],
        metric,
        watch=watch,
    )
    alone = np.array([single.values[head] for head in heads])
    together = np.full((len(heads), len(heads)), np.nan)
    for (i, j), value in zip(pairs, joint, strict=True):
        together[i, j] = together[j, i] = value - metric.baseline
    labels = tuple(f"L{layer} H{head}" for layer, head in heads)
    axes = (Axis("head_a", labels), Axis("head_b", labels))
    return Result(
        analysis="head_pairs",
        params={
            "ablation": ablation,
            "top_k": top_k,
            "references": list(references),
            "seed": seed,
        },
        metric=metric.info,
        baseline=metric.baseline,
        axes=axes,
        values=together - alone[:, None] - alone[None, :],
        extra={
            "joint": LabelledArray(axes, together),
            "alone": LabelledArray((axes[0],), alone),
        },
        elapsed_s=time.perf_counter() - started,
        made_by=made_by(lm.verified.path, seed),
    )


def strongest(effects: np.ndarray, count: int) -> list[tuple[int, int]]:
    """(layer, head) of the ``count`` effects of largest size, largest first."""
    order = np.argsort(-np.abs(effects), axis=None, kind="stable")[:count]
    return [(int(i // effects.shape[1]), int(i % effects.shape[1])) for i in order]
