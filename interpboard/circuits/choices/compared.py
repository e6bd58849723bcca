"""How likely a model of multiple choice takes each choice to be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interpboard.circuits.choices.given import log_softmax, refuse_no_choices, scored_choices
from interpboard.models.language_model import LanguageModel
from interpboard.results import LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.watch import SILENT, Watch


@analysis("choices", path="forward", refuses=refuse_no_choices)
def compare_choices(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    choices: str | Sequence[str],
    watch: Watch = SILENT,
) -> Computed:
    """Probability [choice] of each of ``choices`` of the text: softmax over their scores, as the model's own
    loss takes it. ``extra["score"]`` [choice]: the scores. Nothing is edited.

    ``choices``: at least two texts, as a list or one a line; each is read as the second text of a pair whose
    first is the prompt, in a run of its own. Target and foil of the metric are choices, by text or as ``#1``;
    without a target the likeliest.

    Raises ``Unsupported`` for a model without choices, ``BadParameter`` for fewer than two or the same twice,
    ``BadTarget`` for a target that is none of them, ``BadPrompt``, ``NotFinite``.
    """
    watch.step(0, 1)
    scored = scored_choices(lm, prompt, metric, choices)
    watch.step(1, 1)
    axes = (scored.axis,)
    return Computed(
        values=np.exp(log_softmax(scored.scores)),
        axes=axes,
        extra={"score": LabelledArray(axes, scored.scores)},
        warnings=scored.warnings,
        metric=scored.info,
        baseline=scored.baseline,
    )
