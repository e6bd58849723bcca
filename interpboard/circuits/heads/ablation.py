"""Which heads carry the answer: each head's output taken away, one at a time."""

from __future__ import annotations

from collections.abc import Sequence

from interpboard.circuits.heads.estimates import estimated_effects
from interpboard.circuits.heads.replacements import OF_THE_PROMPT, head_replacement
from interpboard.circuits.selection import chosen
from interpboard.datasets.dataset import texts_of
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.verified import in_words
from interpboard.results import Axis, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.cells import estimate_extras, evaluate_cells
from interpboard.runs.metrics import Metric
from interpboard.runs.record import record
from interpboard.runs.watch import SILENT, Watch


@analysis("head_ablation")
def head_ablation(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    ablation: str = "zero",
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    references: str | Sequence[str] = (),
    seed: int = 0,
    preview: bool = False,
    watch: Watch = SILENT,
) -> Computed:
    """Effect [layer, head] = metric(head ablated) − metric(clean).

    A head's output ``z`` (before the output projection) is replaced at every position, by what
    ``ablation`` says; see ``replacements``. ``layers`` and ``heads``: those to ablate, None: all.
    ``references`` are prompts, as a list or one a line; ``seed`` is that of random and resample. Exact:
    one counterfactual a head. Zero ablation follows Michel et al. 2019, "Are Sixteen Heads Really
    Better than One?".

    ``preview``: first-order estimates of all heads are reported first (``estimated_effects``) and
    replaced as exact values come; ``extra`` then has ``estimate`` and ``estimate_error`` (estimate −
    exact), both [layer, head]. Layers without heads (linear attention, state spaces) are NaN, and named
    in a warning.

    Raises ``BadParameter`` for layers, heads or references that do not fit.
    """
    lm.verified.require_somewhere("z")
    chosen_layers = chosen(layers, lm.anatomy.n_layers, "layer")
    chosen_heads = chosen(heads, lm.anatomy.n_heads, "head")
    run = record(lm, prompt, ("z",) if ablation in OF_THE_PROMPT else (), partly=True)
    texts = texts_of(references)
    replace = head_replacement(run, ablation, texts, seed)
    axes = (
        Axis("layer", tuple(lm.anatomy.layer_names[i] for i in chosen_layers)),
        Axis("head", tuple(str(i) for i in chosen_heads)),
    )
    baseline = metric.baseline
    without = [layer for layer in chosen_layers if "z" not in lm.verified.at(layer)]
    if len(without) == len(chosen_layers):
        lm.verified.require_site("z", without[0])
    cells = [
        None if layer in without else (replace(layer, head),)
        for layer in chosen_layers
        for head in chosen_heads
    ]
    estimates = None
    if preview and metric.has_slope:
        estimates = watch.once("estimates", lambda: estimated_effects(lm, prompt, metric, cells))
        estimates = estimates.reshape(len(chosen_layers), len(chosen_heads))
    values = evaluate_cells(
        run, cells, metric, axes, lambda new: new - baseline, unchanged=baseline,
        estimates=estimates, watch=watch,
    )  # fmt: skip
    effects = values - baseline
    return Computed(
        values=effects,
        axes=axes,
        extra=estimate_extras(axes, estimates, effects),
        warnings=(f"No heads to ablate in {in_words(without)}: NaN.",) if without else (),
        params={"references": texts},
    )
