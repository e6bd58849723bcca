"""A grid of counterfactuals, one a cell, filled and reported as the values come."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from interpboard.results import Axis, LabelledArray
from interpboard.runs.edits import Counterfactual
from interpboard.runs.metrics import Metric
from interpboard.runs.record import Run
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import SILENT, Watch


def evaluate_cells(
    run: Run,
    cells: Sequence[Counterfactual | None],
    metric: Metric,
    axes: tuple[Axis, ...],
    shown: Callable[[np.ndarray], np.ndarray],
    *,
    unchanged: float,
    shape: tuple[int, ...] | None = None,
    base: Sequence[int] | None = None,
    estimates: np.ndarray | None = None,
    watch: Watch = SILENT,
) -> np.ndarray:
    """The metric of each of ``cells``, in ``shape`` (that of ``axes`` unless given), float64.

    ``unchanged`` is the metric of the run without a cell's edits; a cell whose metric differs from it by no
    more than rounding has just that, so that an effect of nothing is 0 and not what is left of the order of
    sums. A cell that is None stays NaN: the model cannot do it there. ``watch`` hears ``shown(values)``
    (shape of ``axes``) with each batch; cells not yet known are NaN, or what ``estimates`` (shape of
    ``axes``) has for them, marked as such. Errors as in ``evaluate``.
    """
    values = np.full(shape or tuple(len(axis.labels) for axis in axes), np.nan)
    known = 0
    places = [i for i, cell in enumerate(cells) if cell is not None]

    def take(indices: list[int], new: np.ndarray) -> None:
        nonlocal known
        values.flat[[places[i] for i in indices]] = metric.unless_rounding(new, unchanged)
        known += len(indices)
        watch.step(known, len(places), so_far())

    def so_far() -> LabelledArray:
        exact = shown(values)
        if estimates is None:
            return LabelledArray(axes, exact)
        unknown = np.isnan(exact)
        return LabelledArray(axes, np.where(unknown, estimates, exact), unknown)

    if estimates is not None:  # what is known already is told next, before it may give way
        watch.on_progress(0, len(places), so_far())
    elif watch.speed is not None:
        watch.on_progress(0, len(places), None)  # its size, before the first step has ended
    counterfactuals = [cell for cell in cells if cell is not None]
    rows = None if base is None else [base[i] for i in places]
    evaluate(run, counterfactuals, metric, base=rows, watch=watch.silent, on_values=take)
    return values


def estimate_extras(
    axes: tuple[Axis, ...], estimates: np.ndarray | None, exact: np.ndarray
) -> dict[str, LabelledArray]:
    """``estimate`` and ``estimate_error`` (estimate − exact) for ``extra``; nothing without estimates."""
    if estimates is None:
        return {}
    return {
        "estimate": LabelledArray(axes, estimates),
        "estimate_error": LabelledArray(axes, estimates - exact),
    }
