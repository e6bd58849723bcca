"""Which words, sentences, turns or marked spans mattered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interpboard.attribution.baselines import baseline_embeddings, taken_away
from interpboard.attribution.integrated_gradients import integrated_gradients
from interpboard.attribution.shapley import sampled, standard_error
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import LabelledArray, PromptInfo
from interpboard.results.tokens import own_of_template
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.cells import evaluate_cells
from interpboard.runs.metrics import Metric, reach
from interpboard.runs.record import record
from interpboard.runs.room import refuse_a_gradient_where
from interpboard.runs.units import units_axis, units_of, unused_spans
from interpboard.runs.watch import SILENT, Watch

UNIT_METHODS = ("occlusion", "shapley", "integrated_gradients")


@analysis("unit_attribution", refuses=refuse_a_gradient_where("method", "integrated_gradients"))
def unit_attribution(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    unit: str = "sentence",
    spans: str | Sequence[str] = "",
    method: str = "occlusion",
    samples: int = 16,
    baseline: str = "mean",
    baseline_text: str = "",
    seed: int = 0,
    watch: Watch = SILENT,
) -> Computed:
    """Signed attribution [unit]: what the metric owes to each word, sentence, turn of a chat or marked span.

    ``unit``, ``spans``: see ``units_of``. ``method``: ``occlusion``, metric(clean) − metric(the unit taken
    away);
    ``shapley``, the mean of what it adds as it joins the others in one of ``samples`` orders drawn by
    ``seed``; or ``integrated_gradients``, the sum of its tokens' (they add up, since they share a path).
    Shapley values and integrated gradients sum to the change of the metric from the baseline;
    ``extra["standard_error"]`` [unit] is the sampling's. ``baseline``, ``baseline_text``: what takes a
    unit's place, see ``baseline_embeddings``. Units behind the metric's position have no part in a causal
    model and are not listed; ``extra["begin"]`` and ``extra["end"]`` [unit] are the tokens of each. Of a
    chat, ``extra["of_template"]`` [unit]: how many of these are its template's own; integrated gradients of
    turns have ``extra["of_words"]`` [unit], the sum without those.

    Raises ``BadParameter``, ``Unsupported``, ``OutOfMemory``.
    """
    if method not in UNIT_METHODS:
        raise BadParameter(
            f"There is no method {method!r} here.", f"Use {', '.join(UNIT_METHODS)}."
        )
    units = units_of(prompt, unit, reach(lm, prompt, metric), spans)
    axis, extra = units_axis(prompt, units)
    unused = unused_spans(unit) + (() if method == "shapley" else ("samples", "seed"))
    if method == "integrated_gradients":
        found = integrated_gradients(
            lm, prompt, metric, baseline=baseline, baseline_text=baseline_text, watch=watch
        )
        sums = np.array([found.values[list(each.positions)].sum() for each in units])
        if unit == "turn":
            template = np.array(own_of_template(prompt)[: len(found.values)])
            words = np.where(template, 0.0, found.values)
            extra["of_words"] = LabelledArray(
                (axis,), np.array([words[list(each.positions)].sum() for each in units])
            )
        return Computed(sums, (axis,), {**extra, **found.extra}, found.warnings, unused=unused)
    lm.verified.require_site("embed")
    instead = baseline_embeddings(lm, prompt, baseline, baseline_text)

    run, players = record(lm, prompt, behind_attention=False), [each.positions for each in units]
    if method == "occlusion":
        cells = [taken_away(places, instead) for places in players]
        edited = evaluate_cells(
            run, cells, metric, (axis,), lambda new: metric.baseline - new,
            unchanged=metric.baseline, watch=watch,
        )  # fmt: skip
        return Computed(metric.baseline - edited, (axis,), extra, unused=unused)
    added, bare = sampled(run, metric, players, instead, samples, seed, watch)
    extra["standard_error"] = LabelledArray((axis,), standard_error(added))
    extra["baseline_metric"] = LabelledArray((), np.array(bare))
    return Computed(added.mean(0), (axis,), extra, unused=unused)
