"""Which heads carry the answer: each head's output taken away, one at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interpboard.circuits.heads.estimates import estimated_effects
from interpboard.circuits.heads.replacements import OF_THE_PROMPT, head_replacement
from interpboard.circuits.selection import chosen
from interpboard.datasets.dataset import texts_of
from interpboard.models.language_model import LanguageModel
from interpboard.models.proof.verified import in_words
from interpboard.results import Axis, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.cells import estimate_extras, evaluate_cells
from interpboard.runs.edits import Counterfactual
from interpboard.runs.metrics import Metric
from interpboard.runs.on_tree import evaluate_together
from interpboard.runs.record import Run, record
from interpboard.runs.room import refuse_a_gradient_where
from interpboard.runs.together import Together
from interpboard.runs.watch import SILENT, Watch


@analysis("head_ablation", refuses=refuse_a_gradient_where("preview", True))
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
    run = record(lm, prompt, ("z",) if ablation in OF_THE_PROMPT else (), partly=True)
    grid = head_grid(run, ablation, layers, heads, texts_of(references), seed)
    baseline = metric.baseline
    estimates = None
    if preview and metric.has_slope:
        cells = grid.cells
        estimates = watch.once("estimates", lambda: estimated_effects(lm, prompt, metric, cells))
        estimates = estimates.reshape(grid.shape)
    values = evaluate_cells(
        run, grid.cells, metric, grid.axes, lambda new: new - baseline, unchanged=baseline,
        estimates=estimates, watch=watch,
    )  # fmt: skip
    effects = values - baseline
    extra = estimate_extras(grid.axes, estimates, effects)
    return Computed(effects, grid.axes, extra, grid.warnings, {"references": grid.texts})


def head_ablation_over_rows(
    shared: Together,
    prompts: Sequence[PromptInfo],
    metrics: Sequence[Metric],
    params: Mapping[str, Any],
    watch: Watch,
) -> list[Computed] | None:
    """``head_ablation`` of each of ``prompts``, each head taken away in all of them at once. None where what
    takes its place depends on the prompt. See ``runs.over_rows``."""
    run = None if params["ablation"] in OF_THE_PROMPT else shared.run(shared.lm, prompts[0], ())
    if run is None or params["preview"]:
        return None
    texts = texts_of(params["references"])
    grid = head_grid(
        run, params["ablation"], params["layers"], params["heads"], texts, params["seed"]
    )
    places = [i for i, cell in enumerate(grid.cells) if cell is not None]
    found = evaluate_together(
        shared, prompts, [cell for cell in grid.cells if cell is not None], metrics, watch
    )
    if found is None:
        return None
    effects = np.full((len(prompts), len(grid.cells)), np.nan)
    for row, metric in enumerate(metrics):
        baseline = metric.baseline
        effects[row, places] = metric.unless_rounding(found[row], baseline) - baseline
    made = {"references": texts}
    return [
        Computed(each.reshape(grid.shape), grid.axes, {}, grid.warnings, made) for each in effects
    ]


@dataclass(frozen=True)
class HeadGrid:
    """The counterfactual of each head [layer · head], None where a layer has none."""

    cells: list[Counterfactual | None]
    axes: tuple[Axis, Axis]
    warnings: tuple[str, ...]
    texts: list[str]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.axes[0].labels), len(self.axes[1].labels)


def head_grid(
    run: Run,
    ablation: str,
    layers: Sequence[int] | None,
    heads: Sequence[int] | None,
    texts: list[str],
    seed: int,
) -> HeadGrid:
    """The heads to ablate in ``run``, None: all; see ``head_ablation``. Raises ``BadParameter``."""
    lm = run.lm
    lm.verified.require_somewhere("z")
    chosen_layers = chosen(layers, lm.anatomy.n_layers, "layer")
    chosen_heads = chosen(heads, lm.anatomy.n_heads, "head")
    replace = head_replacement(run, ablation, texts, seed)
    axes = (
        Axis("layer", tuple(lm.anatomy.layer_names[i] for i in chosen_layers)),
        Axis("head", tuple(str(i) for i in chosen_heads)),
    )
    without = [layer for layer in chosen_layers if "z" not in lm.verified.at(layer)]
    if len(without) == len(chosen_layers):
        lm.verified.require_site("z", without[0])
    cells: list[Counterfactual | None] = [
        None if layer in without else (replace(layer, head),)
        for layer in chosen_layers
        for head in chosen_heads
    ]
    warnings = (f"No heads to ablate in {in_words(without)}: NaN.",) if without else ()
    return HeadGrid(cells, axes, warnings, texts)
