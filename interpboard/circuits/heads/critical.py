"""What the prediction hangs on: heads, MLPs, whole layers and embeddings, ranked by measured effect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from interpboard.circuits.heads.candidates import (
    ABLATIONS,
    KINDS,
    SITES_OF_KIND,
    Candidate,
    candidates,
)
from interpboard.errors import BadParameter, Unsupported
from interpboard.models.language_model import LanguageModel
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.metrics import Metric
from interpboard.runs.record import Run, record
from interpboard.runs.replay import evaluate
from interpboard.runs.room import refuse_a_gradient_without_room
from interpboard.runs.watch import SILENT, Watch

ROUNDS = 4


@analysis("critical_components", refuses=refuse_a_gradient_without_room)
def find_critical_components(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    *,
    budget: int = 64,
    kinds: Sequence[str] | None = None,
    ablation: str = "zero",
    watch: Watch = SILENT,
) -> Computed:
    """Effect [component] = metric(ablated) − metric(clean), largest first; at most ``budget`` measured.

    Components: heads (``z`` ablated), MLPs (what they add), layers (all they add) and the embedding of
    each token; ``kinds`` chooses among ``head``, ``mlp``, ``layer``, ``embed``. ``ablation``: ``zero``, or
    the ``mean`` over the prompt's positions. NaN: not measured; those
    come last, by their estimate. What a layer does not have (heads, in one of state spaces) is no component.

    Gradients estimate every effect to first order. The first half of the budget measures the largest
    estimates; then, in rounds, those that could be largest: estimate plus doubt. The doubt is the bound
    |change| · |gradient| on a first-order effect times how large errors were, as a share of that bound,
    where components of the kind were measured: effects that cancel in the estimate have a large one.

    ``extra``: ``estimate``, ``error`` (estimate − effect) and ``verified`` (1 where measured) [component],
    and the scalars ``n_verified`` and ``n_components``.

    Raises ``BadParameter``; ``Unsupported`` for ``kl`` (without slope at the clean run) and ``rank`` unless
    the budget is enough to measure everything.
    """
    if budget < 1:
        raise BadParameter("The budget is at least one evaluation.", "Raise budget.")
    if ablation not in ABLATIONS:
        raise BadParameter(f"There is no ablation {ablation!r}.", f"Use {' or '.join(ABLATIONS)}.")
    kinds = _checked(lm, kinds)
    has_slope = metric.has_slope
    run = record(lm, prompt)
    found = candidates(run, metric, kinds, ablation, estimated=has_slope, watch=watch)
    budget = min(budget, len(found))
    if not has_slope and budget < len(found):
        raise Unsupported(
            f"The metric {metric.info.name} gives no first-order estimates.",
            f"Use another, or a budget of {len(found)} to measure everything.",
        )
    measured = _measured(run, metric, found, budget, watch)
    return _computed(found, measured, {"budget": budget, "kinds": list(kinds)})


def _checked(lm: LanguageModel, kinds: Sequence[str] | None) -> tuple[str, ...]:
    """``kinds``; None: those that the model has."""
    if kinds is None:
        return tuple(k for k in KINDS if any(map(lm.verified.somewhere, SITES_OF_KIND[k])))
    chosen = tuple(dict.fromkeys(kinds))
    for kind in chosen:
        if kind not in KINDS:
            raise BadParameter(
                f"There is no kind {kind!r} of component.", f"Use {', '.join(KINDS)}."
            )
    if not chosen:
        raise BadParameter("No kind of component was given.", f"Use {', '.join(KINDS)}.")
    for kind in chosen:
        if not any(map(lm.verified.somewhere, SITES_OF_KIND[kind])):
            lm.verified.require_somewhere(SITES_OF_KIND[kind][0])
    return chosen


def _measured(
    run: Run, metric: Metric, found: Sequence[Candidate], budget: int, watch: Watch
) -> tuple[np.ndarray, np.ndarray]:
    """Effects [candidate], NaN where not measured, and which were."""
    effects = np.full(len(found), np.nan)
    measured = np.zeros(len(found), dtype=bool)  # an effect may be NaN all the same
    known = 0
    left = budget
    for number in range(ROUNDS):
        unknown = np.flatnonzero(~measured)
        score = np.abs(_estimates(found)) + (doubts(found, effects) if number else 0.0)
        count = left if number == ROUNDS - 1 else min(left, -(-budget // (2 if number == 0 else 6)))
        order = np.argsort(-score[unknown], kind="stable")
        chosen = unknown[order[:count]]
        if number == 0:
            chosen = _one_of_each_kind(found, unknown[order], count)

        def take(indices: list[int], values: np.ndarray, chosen: np.ndarray = chosen) -> None:
            nonlocal known
            effects[chosen[indices]] = values - metric.baseline
            measured[chosen[indices]] = True
            known += len(indices)
            watch.step(known, budget, _ranked(found, effects))

        if len(chosen):
            rows = [found[i].counterfactual for i in chosen]
            evaluate(run, rows, metric, watch=watch.silent, on_values=take)
        left -= len(chosen)
    return effects, measured


def _one_of_each_kind(found: Sequence[Candidate], order: np.ndarray, count: int) -> np.ndarray:
    """The first ``count`` of ``order``, with the first of every kind among them as far as they go."""
    firsts = {found[i].kind: i for i in reversed(order)}
    heads = sorted(firsts.values(), key=lambda i: int(np.flatnonzero(order == i)[0]))
    rest = [i for i in order if i not in set(heads)]
    return np.array([*heads, *rest][:count], dtype=int)


def doubts(found: Sequence[Candidate], effects: np.ndarray) -> np.ndarray:
    """How far each estimate may be off, by how far those of its kind that were measured were."""
    bounds = np.array([one.bound for one in found])
    errors = np.abs(_estimates(found) - effects)
    ratios = errors / np.where(bounds > 0, bounds, np.nan)
    overall = _mean(ratios, 0.0)
    kinds = np.array([one.kind for one in found])
    by_kind = {kind: _mean(ratios[kinds == kind], overall) for kind in set(kinds)}
    return bounds * np.array([by_kind[kind] for kind in kinds])


def _mean(values: np.ndarray, otherwise: float) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else otherwise


def _estimates(found: Sequence[Candidate]) -> np.ndarray:
    return np.array([one.estimate for one in found])


def _order(found: Sequence[Candidate], effects: np.ndarray) -> np.ndarray:
    """Measured ones by size, then the others by the size of their estimate."""
    size = np.where(np.isnan(effects), np.abs(_estimates(found)), np.abs(effects))
    return np.lexsort((-size, np.isnan(effects)))


def _ranked(found: Sequence[Candidate], effects: np.ndarray) -> LabelledArray:
    order = _order(found, effects)
    return LabelledArray((Axis("component", tuple(found[i].label for i in order)),), effects[order])


def _computed(
    found: Sequence[Candidate],
    measured: tuple[np.ndarray, np.ndarray],
    params: dict[str, object],
) -> Computed:
    effects, verified = measured
    order = _order(found, effects)
    ranked = _ranked(found, effects)
    estimates = _estimates(found)
    warnings: tuple[str, ...] = ()
    if not verified.all():
        warnings = (
            f"{verified.sum()} of {len(found)} components were measured, the rest estimated.",
        )
    return Computed(
        values=ranked.values,
        axes=ranked.axes,
        extra={
            "estimate": LabelledArray(ranked.axes, estimates[order]),
            "error": LabelledArray(ranked.axes, (estimates - effects)[order]),
            "verified": LabelledArray(ranked.axes, verified[order].astype(np.int64)),
            "n_verified": LabelledArray((), np.array(int(verified.sum()))),
            "n_components": LabelledArray((), np.array(len(found))),
        },
        warnings=warnings,
        params=params,
    )
