"""The estimates that matter most, measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from interpboard.results import Axis, LabelledArray
from interpboard.runs.edits import Counterfactual
from interpboard.runs.metrics import Metric
from interpboard.runs.record import Run
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import Watch


def verified_cells(
    run: Run,
    cells: Callable[[Sequence[int]], list[Counterfactual]],
    there: np.ndarray,
    metric: Metric,
    axes: tuple[Axis, ...],
    estimates: np.ndarray,
    count: int,
    at_base: float,
    *,
    sizes: bool,
    watch: Watch,
) -> dict[str, LabelledArray]:
    """``exact``, ``error`` (estimate − exact) and ``mean_abs_error`` of the ``count`` largest estimates.

    ``cells`` makes those of some numbers, all of them ``there`` (shape of ``axes``).
    ``sizes``: the estimates have no sign, so the size of the exact effect is what they are held against.
    ``watch`` hears the estimates with exact values in their place as these come.
    """
    flat = estimates.ravel()
    order = np.argsort(-np.abs(flat), kind="stable")  # NaN comes last
    chosen = order[there.ravel()[order]][:count]
    exact = np.full(flat.shape, np.nan)
    shown = flat.copy()

    def effects(values: np.ndarray) -> np.ndarray:
        return np.abs(values - at_base) if sizes else values - at_base

    known = 0

    def take(indices: list[int], values: np.ndarray) -> None:
        nonlocal known
        exact[chosen[indices]] = values - at_base
        shown[chosen[indices]] = effects(values)
        known += len(indices)
        watch.step(known, len(chosen), LabelledArray(axes, shown.reshape(estimates.shape).copy()))

    evaluate(
        run,
        cells(chosen.tolist()),
        metric,
        watch=watch.silent,
        on_values=take,
    )
    error = flat - (np.abs(exact) if sizes else exact)
    return {
        "exact": LabelledArray(axes, exact.reshape(estimates.shape)),
        "error": LabelledArray(axes, error.reshape(estimates.shape)),
        "mean_abs_error": LabelledArray((), np.array(np.abs(error[chosen]).mean())),
    }
