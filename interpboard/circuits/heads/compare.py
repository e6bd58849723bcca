"""Does it matter what a head is replaced by? Several ablations of the same heads, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from interpboard.circuits.heads.replacements import head_replacement
from interpboard.datasets.dataset import texts_of
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.registry.component_names import head_label, written_component
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.agreement import rank_agreement
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.cells import evaluate_cells
from interpboard.runs.components import Head, resolve_head
from interpboard.runs.metrics import Metric
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import SILENT, Watch

OF_ALL = ("zero", "mean", "random")


@analysis("compare_ablations")
def compare_ablations(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    strategies: Sequence[str] | None = None,
    components: Sequence[Head | str] | str | None = None,
    references: str | Sequence[str] = (),
    seed: int = 0,
    watch: Watch = SILENT,
) -> Computed:
    """Effect [component, strategy] of ablating each head.

    ``components``: heads as (layer, head) or as text, e.g. ``3.5,2.1``; None: every head.
    ``strategies``: those of ``replacements``; None: zero, mean and random, and given ``references``
    dataset_mean; ``seed`` is that of random and resample. ``extra``: ``together`` [strategy], the effect of
    ablating all of the components at once, and ``rank_agreement`` [strategy, strategy], Spearman's rank
    correlation of the effects over the components (NaN if a strategy's are all equal).

    Raises ``BadParameter`` for heads that the model does not have and unknown strategies.
    """
    heads = _heads(lm, components)
    texts = texts_of(references)
    if strategies is None:
        strategies = (*OF_ALL, "dataset_mean") if texts else OF_ALL
    if not strategies:
        raise BadParameter("No ablation was given.", "Use e.g. zero, mean.")
    run = record(lm, prompt, sites=("z",))
    counterfactuals, at_once = [], []
    for strategy in strategies:
        replace = head_replacement(run, strategy, texts, seed)
        counterfactuals += [(replace(layer, head),) for layer, head in heads]
        at_once.append(tuple(replace(layer, head) for layer, head in dict.fromkeys(heads)))
    component = Axis(
        "component", tuple(head_label(lm.anatomy.layer_names[layer], head) for layer, head in heads)
    )
    axes = (component, Axis("strategy", tuple(strategies)))
    with watch.independent():
        values = evaluate_cells(
            run,
            counterfactuals,
            metric,
            axes,
            lambda new: (new - metric.baseline).T,
            unchanged=metric.baseline,
            shape=(len(strategies), len(heads)),
            watch=watch,
        )
        together = evaluate(run, at_once, metric, watch=watch.silent)
    effects = (values - metric.baseline).T
    together = metric.unless_rounding(together, metric.baseline)
    return Computed(
        values=effects,
        axes=axes,
        extra={
            "together": LabelledArray((axes[1],), together - metric.baseline),
            "rank_agreement": LabelledArray((axes[1], axes[1]), rank_agreement(effects)),
        },
        params={
            "strategies": list(strategies),
            "components": [
                written_component(lm.anatomy.layer_names[layer], head) for layer, head in heads
            ],
            "references": texts,
        },
    )


def _heads(lm: LanguageModel, given: Sequence[Head | str] | str | None) -> list[Head]:
    if given is None:
        n_layers, n_heads = lm.anatomy.n_layers, lm.anatomy.n_heads
        return [(layer, head) for layer in range(n_layers) for head in range(n_heads)]
    heads = [
        resolve_head(lm, one) for one in (given.split(",") if isinstance(given, str) else given)
    ]
    if not heads:
        raise BadParameter("No component was given.", "Name heads, e.g. 3.5,2.1.")
    return heads
