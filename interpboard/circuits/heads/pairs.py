"""Heads that stand in for each other: ablated together, against the sum of each alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.heads.replacements import OF_THE_PROMPT, head_replacement
from interpboard.datasets.dataset import texts_of
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.registry.component_names import head_label
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.cells import evaluate_cells
from interpboard.runs.metrics import Metric
from interpboard.runs.record import record
from interpboard.runs.watch import SILENT, Watch


@analysis("head_pairs")
def head_pairs(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    ablation: str = "zero",
    top_k: int = 8,
    references: str | Sequence[str] = (),
    seed: int = 0,
    watch: Watch = SILENT,
) -> Computed:
    """Interaction [head_a, head_b] = effect(both) − effect(a) − effect(b), for the ``top_k`` heads.

    Those are the heads with the largest effects alone. The diagonal is NaN. ``ablation``,
    ``references`` and ``seed`` as in ``head_ablation``. ``extra``:
    ``joint`` (effect of both) and ``alone`` [head_a].
    """
    texts = texts_of(references)
    count = lm.anatomy.n_layers * lm.anatomy.n_heads
    top_k = min(top_k, count)
    if top_k < 2:
        raise BadParameter("Pairs need at least two heads.", "Raise top_k.")
    pairs = [(i, j) for i in range(top_k) for j in range(i)]
    total = count + len(pairs)
    single = head_ablation(
        lm,
        prompt,
        metric,
        ablation=ablation,
        references=texts,
        seed=seed,
        watch=watch.stage(0, total, shown=False),
    )
    heads = strongest_heads(single.values, top_k)
    alone = np.array([single.values[head] for head in heads])
    run = record(lm, prompt, sites=("z",) if ablation in OF_THE_PROMPT else ())
    replace = head_replacement(run, ablation, texts, seed)
    labels = tuple(head_label(lm.anatomy.layer_names[layer], head) for layer, head in heads)
    axes = (Axis("head_a", labels), Axis("head_b", labels))

    def together(values: np.ndarray) -> np.ndarray:
        joint = np.full((top_k, top_k), np.nan)
        for (i, j), value in zip(pairs, values, strict=True):
            joint[i, j] = joint[j, i] = value - metric.baseline
        return joint

    both = evaluate_cells(
        run,
        [(replace(*heads[i]), replace(*heads[j])) for i, j in pairs],
        metric,
        axes,
        lambda new: together(new) - alone[:, None] - alone[None, :],
        unchanged=metric.baseline,
        shape=(len(pairs),),
        watch=watch.stage(count, total),
    )
    joint = together(both)
    return Computed(
        values=joint - alone[:, None] - alone[None, :],
        axes=axes,
        extra={
            "joint": LabelledArray(axes, joint),
            "alone": LabelledArray((axes[0],), alone),
        },
        params={"top_k": top_k, "references": texts},
    )


def strongest_heads(effects: np.ndarray, count: int) -> list[tuple[int, int]]:
    """(layer, head) of the ``count`` effects of largest size, largest first."""
    order = np.argsort(-np.abs(effects), axis=None, kind="stable")[:count]
    return [(int(i // effects.shape[1]), int(i % effects.shape[1])) for i in order]
