"""Which parts of a long context an answer rests on: a sparse linear stand-in for the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interpboard.attribution.baselines import baseline_embeddings, taken_away
from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.agreement import rank_agreement
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.edits import Counterfactual
from interpboard.runs.metrics import Metric, reach
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.units import units_axis, units_of, unused_spans
from interpboard.runs.watch import SILENT, Watch

HELD_OUT = 0.25
_STRENGTHS = 30
_ROUNDS = 2000
_FOLDS = 4
_IN_VAIN = 6  # strengths in a row that say less than a stronger one did


@analysis("context_cite")
def context_cite(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    unit: str = "sentence",
    spans: str | Sequence[str] = "",
    samples: int = 64,
    baseline: str = "mean",
    baseline_text: str = "",
    seed: int = 0,
    watch: Watch = SILENT,
) -> Computed:
    """Weight [unit]: what the metric gains when the unit is there, in a sparse linear model of the metric.

    Cohen-Wang, Shah, Georgiev and Mądry 2024, "ContextCite: Attributing Model Generation to Context". In
    each of ``samples`` runs a random half of the units (by ``seed``; ``unit``, ``spans``: see ``units_of``)
    is there, the others are replaced (``baseline``, ``baseline_text``: see ``baseline_embeddings``); a lasso
    is fitted to the metric in three quarters of the runs, its strength chosen among them by cross-validation.
    ``extra["lds"]``: the rank correlation between what it says of the last quarter, of which neither weights
    nor strength know, and what the model did, 1 where it can be trusted, 0 where its weights mean nothing;
    ``held_out`` and ``predicted`` [run] are the two; ``intercept``. The paper removes sentences from the
    text; here their embeddings are replaced, so that no other token moves.

    Raises ``BadParameter`` for less than eight samples or two units, ``Unsupported``, ``OutOfMemory``.
    """
    lm.verified.require_site("embed")
    units = units_of(prompt, unit, reach(lm, prompt, metric), spans)
    if samples < 8:
        raise BadParameter("A surrogate needs at least eight samples.", "Raise samples.")
    if len(units) < 2:
        raise BadParameter(f"The prompt has one {unit}.", "Choose a smaller unit, e.g. word.")
    instead = baseline_embeddings(lm, prompt, baseline, baseline_text)
    there = np.random.default_rng(seed).random((samples, len(units))) < 0.5
    there[there.all(1), 0] = False  # the whole prompt is known already
    cells: list[Counterfactual] = []
    for row in there:
        places = tuple(
            at for each, kept in zip(units, row, strict=True) if not kept for at in each.positions
        )
        cells.append(taken_away(places, instead))
    values = evaluate(record(lm, prompt, behind_attention=False), cells, metric, watch=watch)
    known = np.isfinite(values)
    masks, values = there[known].astype(float), values[known]
    held = max(2, round(HELD_OUT * len(values)))
    weights, intercept = fitted_lasso(masks[:-held], values[:-held], watch)
    predicted = masks[-held:] @ weights + intercept
    lds = float(rank_agreement(np.stack([predicted, values[-held:]], 1))[0, 1])
    axis, bounds = units_axis(prompt, units)
    runs = Axis("run", tuple(map(str, range(held))))
    warning = (
        f"The surrogate orders runs that it has not seen hardly better than chance (LDS {lds:.2f}): its "
        "weights mean little. Raise samples, or choose a larger unit."
    )
    return Computed(
        values=weights,
        axes=(axis,),
        extra={
            "lds": LabelledArray((), np.array(lds)),
            "intercept": LabelledArray((), np.array(intercept)),
            "held_out": LabelledArray((runs,), values[-held:]),
            "predicted": LabelledArray((runs,), predicted),
            **bounds,
        },
        warnings=(warning,) if not lds >= 0.3 else (),
        unused=unused_spans(unit),
    )


def fitted_lasso(
    masks: np.ndarray, values: np.ndarray, watch: Watch = SILENT
) -> tuple[np.ndarray, float]:
    """Weights and intercept of the lasso of these runs. Its strength is the one that says best of each fold
    of them what the others say (cross-validation); from where it only becomes worse no weaker one is tried.
    """
    strongest = np.abs((masks - masks.mean(0)).T @ (values - values.mean())).max() / len(values)
    strengths = strongest * np.logspace(0, -4, _STRENGTHS)
    fold = np.arange(len(values)) % min(_FOLDS, len(values) - 1)
    begun = {each: np.zeros(masks.shape[1]) for each in range(fold.max() + 1)}
    errors: list[float] = []
    for strength in strengths:
        error = 0.0
        for each, weights in begun.items():
            own, other = fold != each, fold == each
            begun[each], intercept = lasso(masks[own], values[own], float(strength), weights, watch)
            said = masks[other] @ begun[each] + intercept
            error += float(np.square(said - values[other]).sum())
        errors.append(error)
        if len(errors) - int(np.argmin(errors)) > _IN_VAIN:
            break
    chosen = next(at for at, error in enumerate(errors) if error <= min(errors) * (1 + 1e-9))
    weights = np.zeros(masks.shape[1])
    for strength in strengths[: chosen + 1]:
        weights, intercept = lasso(masks, values, float(strength), weights, watch)
    return weights, intercept


def lasso(
    masks: np.ndarray,
    values: np.ndarray,
    strength: float,
    begin: np.ndarray,
    watch: Watch = SILENT,
) -> tuple[np.ndarray, float]:
    """Least ½ mean (values − masks · w − b)² + ``strength`` · |w|₁, a coordinate at a time from ``begin``.

    Only weights that once were not zero are gone through; one that the others pull at by more than
    ``strength`` joins them. Where signs no longer change the rest is a linear system, which is solved: what
    it gives is gone through again. ``watch`` is asked in every round whether anybody still wants it.
    """
    centred, target = masks - masks.mean(0), values - values.mean()
    sizes = np.square(centred).mean(0)
    weights = begin.copy()
    left = target - centred @ weights
    going = set(np.flatnonzero(weights))
    for number in range(_ROUNDS):
        watch.check()
        largest = 0.0
        for at in sorted(going):
            pull = centred[:, at] @ left / len(values) + sizes[at] * weights[at]
            new = np.sign(pull) * max(abs(pull) - strength, 0.0) / sizes[at]
            if new != weights[at]:
                left += centred[:, at] * (weights[at] - new)
                largest = max(largest, abs(new - weights[at]))
                weights[at] = new
        pulls = np.abs(centred.T @ left) / len(values)
        joining = set(np.flatnonzero((pulls > strength * (1 + 1e-9)) & (sizes > 0))) - going
        if not joining and largest <= 1e-10 * max(1.0, float(np.abs(weights).max())):
            break
        going |= joining
        if number % 20 == 19:
            weights = _solved(centred, target, strength, weights)
            left = target - centred @ weights
            going = set(np.flatnonzero(weights))
    return weights, float(values.mean() - masks.mean(0) @ weights)


def _solved(
    centred: np.ndarray, target: np.ndarray, strength: float, weights: np.ndarray
) -> np.ndarray:
    """The weights that are not zero where they hold each other in place; ``weights`` if signs change."""
    there = np.flatnonzero(weights)
    own, signs = centred[:, there], np.sign(weights[there])
    system = own.T @ own / len(target)
    held = np.linalg.lstsq(system, own.T @ target / len(target) - strength * signs, rcond=None)[0]
    if not (np.sign(held) == signs).all():
        return weights
    solved = np.zeros_like(weights)
    solved[there] = held
    return solved
