"""The metric of several steps' last streams together.

A probability reads the whole unembedding, whatever the number of rows: of the 130 rows of a step of 1,024
tokens it takes a third longer a row than of 512.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interpboard.runs.batch import Batch
from interpboard.runs.block_probability import is_one_probability
from interpboard.runs.end_to_end import EndToEnd
from interpboard.runs.metrics import Metric
from interpboard.runs.residual_metric import metric_of_residual
from interpboard.runs.watch import Watch

TOGETHER = 512
"""Rows of which a metric is computed together, at least."""
_STEPS = 4  # after which values are told, however few


class Ends:
    """Gives the metric of steps as they are done, or (``together``) of some of them at once."""

    def __init__(self, metric: Metric, *, together: bool) -> None:
        self.metric, self.together = metric, together and is_one_probability(metric)
        self._waiting: list[tuple[Sequence[int], torch.Tensor, torch.Tensor]] = []

    def after(
        self, batch: Batch, chosen: Sequence[int], watch: Watch, *, last: bool
    ) -> tuple[list[int], torch.Tensor]:
        """Which rows are known once ``batch``, the rows ``chosen``, is run, and their metric [row]."""
        if not self.together or not isinstance(batch, EndToEnd):
            return list(chosen), batch.metric(self.metric, watch)
        self._waiting.append((chosen, *batch.ends(self.metric.info.position, watch)))
        rows = [row for some, _, _ in self._waiting for row in some]
        if not last and len(rows) < TOGETHER and len(self._waiting) < _STEPS:
            return [], torch.empty(0)
        streams = torch.cat([end for _, end, _ in self._waiting])
        fine = torch.cat([each for _, _, each in self._waiting])
        try:
            found = metric_of_residual(batch.run, streams, self.metric)
        except RuntimeError:  # the step is taken again
            self._waiting.pop()
            raise
        self._waiting.clear()
        return rows, found.masked_fill(~fine, torch.nan)
