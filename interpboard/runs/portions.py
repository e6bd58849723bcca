"""Many edited rows, a portion at a time, so that what is kept of them stays within bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import check_smaller_may_fit
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual
from interpboard.runs.metrics import Metric
from interpboard.runs.record import Run, record
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import SILENT, Pace, Watch


def record_first(
    lm: LanguageModel,
    prompt: PromptInfo,
    rows: Sequence[Counterfactual],
    most: int,
    sites: Sequence[str] = (),
    site_rows: int | None = None,
) -> Run:
    """Record the first ``most`` of ``rows``, or fewer where memory is short: see the run's ``batch``.

    ``sites`` and ``site_rows`` as in ``record``. Raises ``OutOfMemory`` if one row alone does not fit.
    """
    while True:
        try:
            return record(lm, prompt, sites, rows[:most], site_rows=site_rows)
        except RuntimeError as error:
            check_smaller_may_fit(error, most)
        most = (min(most, len(rows)) + 1) // 2


def evaluate_in_portions(
    run: Run,
    metric: Metric,
    count: int,
    row: Callable[[int], Counterfactual],
    size: int,
    watch: Watch = SILENT,
) -> np.ndarray:
    """The metric [row] of ``count`` rows, of which at most ``size`` are there at once; see ``evaluate``."""
    found = np.full(count, np.nan)

    def fill(begin: int) -> None:
        behind = max(0, count - begin - size)

        def on_pace(pace: Pace) -> None:
            left_s = pace.left_s + behind * pace.a_cell_s
            watch.on_pace(pace._replace(left_s=left_s, cells_left=pace.cells_left + behind))

        rows = [row(at) for at in range(begin, min(count, begin + size))]
        own = replace(watch.stage(begin, count), on_pace=on_pace)
        found[begin : begin + size] = evaluate(run, rows, metric, watch=own)

    with watch.independent():
        for begin in range(0, count, size):
            fill(begin)
    return found
