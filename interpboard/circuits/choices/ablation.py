"""Which heads decide between choices: each taken away in the runs of all choices alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from interpboard.circuits.choices.given import explained_choice, refuse_no_choices, scored_choices
from interpboard.circuits.heads.ablation import head_grid
from interpboard.models.language_model import LanguageModel
from interpboard.results import LabelledArray, PromptInfo
from interpboard.results.intervals import ROUNDING_EXTRA
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.cells import evaluate_cells
from interpboard.runs.metrics import Metric
from interpboard.runs.record import record
from interpboard.runs.watch import SILENT, Watch


@analysis("choice_ablation", refuses=refuse_no_choices, explains=explained_choice)
def choice_ablation(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    choices: str | Sequence[str],
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    watch: Watch = SILENT,
) -> Computed:
    """Effect [layer, head] = metric(head ablated in every choice's run) − metric(clean).

    A head's output ``z`` is zeroed at every position of every choice's run, and only then are the scores
    compared. The metric is of the target choice: its score (``logit``), its probability among the choices
    (``prob``, ``logprob``), or its score − that of the foil, another choice (``logit_diff``). Exact: one
    counterfactual a head and choice. ``extra``: ``score`` [layer, head, choice] of the ablated runs and
    ``clean_score`` [choice].

    ``choices``: as in ``compare_choices``. ``layers`` and ``heads``: those to ablate, None: all. Layers
    without heads are NaN, and named in a warning.

    Raises as ``compare_choices``, and ``BadParameter`` for layers or heads that the model does not have.
    """
    scored = scored_choices(lm, prompt, metric, choices)
    scores = np.empty(0)

    def effects(of_choice: np.ndarray, number: int) -> np.ndarray:
        """Those of the heads whose scores are known by now: of all choices that the metric reads."""
        scores[..., number] = of_choice
        return scored.measured(scores) - scored.baseline

    with watch.independent():
        for number, (own, of_own) in enumerate(zip(scored.prompts, scored.metrics, strict=True)):
            run = record(lm, own, (), partly=True)
            grid = head_grid(run, "zero", layers, heads, [], 0)
            if not number:
                scores = np.full((*grid.shape, len(scored.texts)), np.nan)
            scores[..., number] = evaluate_cells(
                run, grid.cells, of_own, grid.axes, partial(effects, number=number),
                unchanged=of_own.baseline,
                watch=watch.stage(number * len(grid.cells), scores.size),
            )  # fmt: skip
    extra = {
        "score": LabelledArray((*grid.axes, scored.axis), scores),
        "clean_score": LabelledArray((scored.axis,), scored.scores),
    }
    apart = scored.rounding()
    if apart is not None:
        extra[ROUNDING_EXTRA] = LabelledArray((), np.array(apart))
    return Computed(
        values=scored.measured(scores) - scored.baseline,
        axes=grid.axes,
        extra=extra,
        warnings=(*grid.warnings, *scored.warnings),
        metric=scored.info,
        baseline=scored.baseline,
    )
