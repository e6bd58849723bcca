"""A grid of counterfactuals, one a cell, filled and reported as the values come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from interpboard.results import Axis, LabelledArray
from interpboard.runs.edits import Counterfactual
from interpboard.runs.metrics import Metric
from interpboard.runs.record import Run
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import SILENT, Pace, Watch


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
    filled = _Filled(metric, axes, shown, unchanged, shape, estimates, watch)
    filled.begin(sum(cell is not None for cell in cells))
    filled.evaluate(run, cells, base)
    return filled.values


def evaluate_cells_by_layer(
    run: Run,
    cells_of: Callable[[int], Sequence[Counterfactual | None]],
    there: np.ndarray,
    metric: Metric,
    axes: tuple[Axis, ...],
    shown: Callable[[np.ndarray], np.ndarray],
    *,
    unchanged: float,
    estimates: np.ndarray | None = None,
    watch: Watch = SILENT,
) -> np.ndarray:
    """The same of ``cells_of(layer)``, where the cells of a layer at a time are there with what they put.
    ``there``, in the shape of the axes: which cells are not None."""
    filled = _Filled(metric, axes, shown, unchanged, None, estimates, watch)
    filled.begin(int(there.sum()))
    with watch.independent():
        for layer in range(len(there)):
            filled.evaluate(run, cells_of(layer), None)
    return filled.values


class _Filled:
    """Values that come in the order of the axes, and what is told of them."""

    def __init__(
        self,
        metric: Metric,
        axes: tuple[Axis, ...],
        shown: Callable[[np.ndarray], np.ndarray],
        unchanged: float,
        shape: tuple[int, ...] | None,
        estimates: np.ndarray | None,
        watch: Watch,
    ) -> None:
        self.metric, self.axes, self.shown, self.unchanged = metric, axes, shown, unchanged
        self.estimates, self.watch = estimates, watch
        self.values = np.full(shape or tuple(len(axis.labels) for axis in axes), np.nan)
        self._first, self._known, self._total = 0, 0, 0

    def begin(self, total: int) -> None:
        """So many cells will have a value."""
        self._total = total
        if self.estimates is not None:  # what is known already is told next, before it may give way
            self.watch.on_progress(0, total, self._so_far())
        elif self.watch.speed is not None:
            self.watch.on_progress(0, total, None)  # its size, before the first step has ended

    def evaluate(
        self, run: Run, cells: Sequence[Counterfactual | None], base: Sequence[int] | None
    ) -> None:
        """The next ``cells``."""
        places = [i for i, cell in enumerate(cells) if cell is not None]
        first = self._first
        self._first += len(cells)

        def take(indices: list[int], new: np.ndarray) -> None:
            at = [first + places[i] for i in indices]
            self.values.flat[at] = self.metric.unless_rounding(new, self.unchanged)
            self._known += len(indices)
            self.watch.step(self._known, self._total, self._so_far())

        def on_pace(pace: Pace) -> None:
            behind = self._total - known - len(places)
            left_s = pace.left_s + behind * pace.a_cell_s
            self.watch.on_pace(pace._replace(left_s=left_s, cells_left=pace.cells_left + behind))

        known = self._known
        counterfactuals = [cell for cell in cells if cell is not None]
        rows = None if base is None else [base[i] for i in places]
        own = replace(self.watch.silent, on_pace=on_pace)
        evaluate(run, counterfactuals, self.metric, base=rows, watch=own, on_values=take)

    def _so_far(self) -> LabelledArray:
        exact = self.shown(self.values)
        if self.estimates is None:
            return LabelledArray(self.axes, exact)
        unknown = np.isnan(exact)
        return LabelledArray(self.axes, np.where(unknown, self.estimates, exact), unknown)


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
