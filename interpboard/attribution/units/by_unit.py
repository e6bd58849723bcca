"""Which words, sentences or turns mattered."""

from __future__ import annotations

import numpy as np

from interpboard.attribution.baselines import baseline_embeddings
from interpboard.attribution.integrated_gradients import integrated_gradients
from interpboard.attribution.shapley import growing
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.cells import evaluate_cells
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.metrics import Metric, reach
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.units import Unit, units_of
from interpboard.runs.watch import SILENT, Watch

METHODS = ("occlusion", "shapley", "integrated_gradients")


@analysis("unit_attribution")
def unit_attribution(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    unit: str = "sentence",
    method: str = "occlusion",
    samples: int = 16,
    baseline: str = "mean",
    baseline_text: str = "",
    seed: int = 0,
    watch: Watch = SILENT,
) -> Computed:
    """Signed attribution [unit]: what the metric owes to each word, sentence or turn of a chat.

    ``unit``: see ``units_of``. ``method``: ``occlusion``, metric(clean) − metric(the unit taken away);
    ``shapley``, the mean of what it adds as it joins the others in one of ``samples`` orders drawn by
    ``seed``; or ``integrated_gradients``, the sum of its tokens' (they add up, since they share a path).
    Shapley values and integrated gradients sum to the change of the metric from the baseline;
    ``extra["standard_error"]`` [unit] is the sampling's. ``baseline``, ``baseline_text``: what takes a
    unit's place, see ``baseline_embeddings``. Units behind the metric's position have no part in a causal
    model and are not listed; ``extra["begin"]`` and ``extra["end"]`` [unit] are the tokens of each.

    Raises ``BadParameter``, ``Unsupported``, ``OutOfMemory``.
    """
    if method not in METHODS:
        raise BadParameter(f"There is no method {method!r} here.", f"Use {', '.join(METHODS)}.")
    units = units_of(prompt, unit, reach(lm, prompt, metric))
    axis = Axis("unit", tuple(own.label for own in units))
    extra = {
        "begin": LabelledArray((axis,), np.array([own.positions[0] for own in units])),
        "end": LabelledArray((axis,), np.array([own.positions[-1] + 1 for own in units])),
    }
    unused = {"samples", "seed"} if method != "shapley" else set()
    if method == "integrated_gradients":
        found = integrated_gradients(
            lm, prompt, metric, baseline=baseline, baseline_text=baseline_text, watch=watch
        )
        sums = np.array([found.values[list(own.positions)].sum() for own in units])
        return Computed(
            sums, (axis,), {**extra, **found.extra}, found.warnings, unused=tuple(unused)
        )
    lm.verified.require_site("embed")
    instead = baseline_embeddings(lm, prompt, baseline, baseline_text)

    def without(those: list[Unit]) -> Counterfactual:
        places = tuple(sorted(at for own in those for at in own.positions))
        return (Edit("embed", 0, "patch", positions=places, value=instead[list(places)]),)

    run = record(lm, prompt)
    if method == "occlusion":
        edited = evaluate_cells(
            run, [without([own]) for own in units], metric, (axis,),
            lambda new: metric.baseline - new, watch=watch,
        )  # fmt: skip
        return Computed(metric.baseline - edited, (axis,), extra, unused=tuple(unused))
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(len(units)) for _ in range(samples)]
    sets = list(dict.fromkeys(present for order in orders for present in growing(order)))
    asked = [present for present in sets if len(present) < len(units)]
    cells = [
        without([own for number, own in enumerate(units) if number not in present])
        for present in asked
    ]
    worth = dict(zip(asked, evaluate(run, cells, metric, watch=watch), strict=True))
    worth[frozenset(range(len(units)))] = metric.baseline
    added = np.zeros((samples, len(units)))
    for row, order in zip(added, orders, strict=True):
        row[order] = np.diff([worth[present] for present in growing(order)])
    spread = added.std(0, ddof=1) if samples > 1 else np.full(len(units), np.nan)
    extra["standard_error"] = LabelledArray((axis,), spread / np.sqrt(samples))
    extra["baseline_metric"] = LabelledArray((), np.array(worth[frozenset()]))
    return Computed(added.mean(0), (axis,), extra)
