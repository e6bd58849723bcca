"""The evaluator: what would the metric have been, had these edits been made?

Every intervention analysis is a list of counterfactuals handed to ``evaluate``. A counterfactual
becomes one row of a batch. On the ``replay`` path a row starts from the recorded input of the first
layer it edits and joins the batch as the batch passes that layer, so a layer runs once over everything
that needs it and never over what does not. In the same way positions before the first edited one are
not run again: their recorded keys and values are used; nor are positions after the metric's, which
cannot matter to it. On the ``hooks`` path, taken where the model did not prove that its layers can be
replayed, rows are plain hooked forwards. Both give the same values, whatever the size of the batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import numpy as np
import torch

from interpboard.config import batch_limit
from interpboard.errors import BadParameter, OutOfMemory
from interpboard.models.calls import first_layer_input
from interpboard.models.tail import forward_logits, residual_to_logits
from interpboard.runs.edits import Counterfactual, Edit, first_of, start_of
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import Run, enter_edits
from interpboard.runs.watch import SILENT, Watch

STEP_S = 0.2
TOKENS_A_STEP = {"cpu": (64, 512), "cuda": (1024, 65536), "mps": (512, 8192)}
LOGITS_A_STEP = 1 << 24

OnValues = Callable[[list[int], np.ndarray], None]


@torch.no_grad()
def evaluate(
    run: Run,
    counterfactuals: Sequence[Counterfactual],
    metric: Metric,
    *,
    base: Sequence[int] | None = None,
    watch: Watch = SILENT,
    on_values: OnValues | None = None,
    tokens_a_step: int | None = None,
) -> np.ndarray:
    """The metric [counterfactual] of each counterfactual, in float64.

    ``base`` [counterfactual]: the row of the run that each starts from; row 0 unless given.
    ``on_values(indices, values)`` hears each batch as it is done; ``watch`` is asked before each layer.
    Batches are cut by tokens: ``tokens_a_step``, or as many as were seen to take under 0.2 s.

    Raises ``BadParameter`` for a counterfactual without edits or outside the model, ``Unsupported``
    for a site that the model does not have, ``OutOfMemory`` if one row alone does not fit.
    """
    for counterfactual in counterfactuals:
        _check(run, counterfactual)
    rows_of = list(base) if base is not None else [0] * len(counterfactuals)
    position = metric.info.position
    stop = _stop(run, counterfactuals, position)
    reuse = run.lm.verified.reuse and run.lm.verified.path == "replay"

    def first(i: int) -> int:
        return min(first_of(counterfactuals[i]), position) if reuse else 0

    order = sorted(
        range(len(counterfactuals)), key=lambda i: (first(i), start_of(counterfactuals[i]))
    )
    size = _StepSize(run.lm.device.type, tokens_a_step)
    values = np.full(len(counterfactuals), np.nan)
    done = 0
    while done < len(order):
        watch.step(done, len(order))
        begin = first(order[done])
        chosen = order[done : done + max(1, size.tokens // (stop - begin))]
        chosen.sort(key=lambda i: start_of(counterfactuals[i]))
        batch = _Batch(
            run, [counterfactuals[i] for i in chosen], [rows_of[i] for i in chosen], begin, stop
        )
        started = time.perf_counter()
        try:
            logits = batch.logits(position, watch)
        except torch.OutOfMemoryError as error:
            if len(chosen) == 1:
                raise OutOfMemory(
                    "One forward pass of the prompt does not fit in memory.", "Shorten the prompt."
                ) from error
            size.tokens = len(chosen) * (stop - begin) // 2
            size.grows = False
            continue
        values[chosen] = metric.of(logits).double().cpu().numpy()
        size.took(time.perf_counter() - started, len(chosen) * (stop - begin))
        if on_values is not None:
            on_values(chosen, values[chosen])
        done += len(chosen)
    watch.step(done, len(order))
    return values


class _StepSize:
    """Tokens a step: starts small, grows while steps are quick, within what suits the device."""

    def __init__(self, device: str, fixed: int | None) -> None:
        self.least, self.most = TOKENS_A_STEP.get(device, TOKENS_A_STEP["cpu"])
        self.grows = fixed is None
        limit = batch_limit()
        if limit:
            self.least, self.most = min(self.least, limit), min(self.most, limit)
        self.tokens = fixed if fixed is not None else (self.most if device == "cpu" else self.least)

    def took(self, seconds: float, tokens: int) -> None:
        """Hear how long a step of ``tokens`` took."""
        if not self.grows or tokens < self.tokens / 2:
            return
        factor = min(4.0, max(0.25, 0.75 * STEP_S / max(seconds, 1e-6)))
        self.tokens = int(min(self.most, max(self.least, tokens * factor)))


class _Batch:
    """Rows that are evaluated together, in the order of their first edited layer.

    Activations cover positions ``first`` to ``stop`` − 1 of the prompt.
    """

    def __init__(
        self, run: Run, rows: list[Counterfactual], base: list[int], first: int, stop: int
    ) -> None:
        self.run, self.rows, self.first, self.stop = run, rows, first, stop
        self.base = torch.tensor(base, device=run.lm.device)
        # Edits of the recorded row come first: layers that run again would otherwise lose them.
        self.edits = [(*run.edits[b], *row) for b, row in zip(base, rows, strict=True)]

    def logits(self, position: int, watch: Watch) -> torch.Tensor:
        """Logits [row, d_vocab] at ``position`` of the prompt."""
        if self.run.lm.verified.path == "hooks":
            return self._hooked(position)
        return self._replayed(position, watch)

    def _replayed(self, position: int, watch: Watch) -> torch.Tensor:
        starts = [max(0, start_of(row)) for row in self.rows]
        hidden: torch.Tensor | None = None
        for layer in range(starts[0], self.run.lm.anatomy.n_layers):
            joining = [row for row, start in enumerate(starts) if start == layer]
            if joining:
                fresh = self._layer_input(layer, joining)
                hidden = fresh if hidden is None else torch.cat([hidden, fresh.to(hidden.device)])
            assert hidden is not None
            watch.check()
            call = self.run.calls[layer]
            if self.first:
                call.keys_and_values()
            with ExitStack() as stack:
                active = self.edits[: len(hidden)]
                wanted = partial(_starts_at, layer)
                enter_edits(stack, self.run.lm, active, wanted, self.first)
                hidden = call.replay(hidden, self.base[: len(hidden)].to(hidden.device), self.first)
        assert hidden is not None
        return _unembedded(self.run, hidden[:, position - self.first])

    def _layer_input(self, layer: int, joining: list[int]) -> torch.Tensor:
        recorded = self.run.calls[layer].hidden
        part = slice(self.first, self.stop)
        base = self.base[joining].to(recorded.device)
        if not any(start_of(self.rows[row]) < 0 for row in joining):
            return recorded[base, part]
        # What is edited in the embedding passes the rest of the way to layer 0 anew.
        ids = input_ids(self.run.lm, self.run.prompt).expand(len(joining), -1)
        rows = [self.edits[row] for row in joining]
        with ExitStack() as stack:
            enter_edits(stack, self.run.lm, rows, partial(_starts_at, -1))
            return first_layer_input(self.run.lm.anatomy, ids)[:, part]

    def _hooked(self, position: int) -> torch.Tensor:
        ids = input_ids(self.run.lm, self.run.prompt).expand(len(self.rows), -1)
        with ExitStack() as stack:
            enter_edits(stack, self.run.lm, self.edits, lambda _edit: True)
            return forward_logits(self.run.lm.anatomy, ids, position)


def _stop(run: Run, counterfactuals: Sequence[Counterfactual], position: int) -> int:
    """Where replays may end: behind the metric's position, unless an edit looks at later keys."""
    looks_ahead = any(
        edit.site == "pattern" and edit.kind != "zero"
        for counterfactual in (*counterfactuals, *run.edits)
        for edit in counterfactual
    )
    return len(run.prompt.token_ids) if looks_ahead else position + 1


def _unembedded(run: Run, residual: torch.Tensor) -> torch.Tensor:
    rows = max(1, LOGITS_A_STEP // run.lm.anatomy.d_vocab)
    parts = [residual_to_logits(run.lm.anatomy, part) for part in residual.split(rows)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _starts_at(layer: int, edit: Edit) -> bool:
    return edit.start == layer


def _check(run: Run, counterfactual: Counterfactual) -> None:
    if not counterfactual:
        raise BadParameter("A counterfactual without edits is the clean run.")
    anatomy = run.lm.anatomy
    for edit in counterfactual:
        run.lm.verified.require_site(edit.site)
        if not 0 <= edit.layer < anatomy.n_layers:
            raise BadParameter(
                f"Layer {edit.layer} does not exist.", f"The model has 0 to {anatomy.n_layers - 1}."
            )
        heads = anatomy.n_kv_heads if edit.site in ("k", "v") else anatomy.n_heads
        if edit.head is not None and not 0 <= edit.head < heads:
            raise BadParameter(
                f"Head {edit.head} does not exist.", f"A layer has 0 to {heads - 1}."
            )
        if edit.positions is not None and not all(
            0 <= position < len(run.prompt.token_ids) for position in edit.positions
        ):
            raise BadParameter(f"Positions {edit.positions} are not all in the prompt.")
