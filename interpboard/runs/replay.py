"""The evaluator: what would the metric have been, had these edits been made?

Every intervention analysis is a list of counterfactuals handed to ``evaluate``. A counterfactual
becomes one row of a batch. On the ``replay`` path a row starts from the clean run's input of the
first layer it edits and joins the batch as the batch passes that layer, so a layer runs once over
everything that needs it and never over what does not. On the ``hooks`` path, taken where the model
did not prove that its layers can be replayed, rows are plain hooked forwards. Both give the same
values, whatever the size of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import numpy as np
import torch

from interpboard.errors import BadParameter, OutOfMemory
from interpboard.models.calls import first_layer_input
from interpboard.models.sites import at_site
from interpboard.models.tail import forward_logits, residual_to_logits
from interpboard.runs.edits import Counterfactual, Edit, apply_edits, start_of
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import Run
from interpboard.runs.watch import SILENT, Watch

TOKENS_A_STEP = 512

OnValues = Callable[[list[int], np.ndarray], None]


@torch.no_grad()
def evaluate(
    run: Run,
    counterfactuals: Sequence[Counterfactual],
    metric: Metric,
    *,
    watch: Watch = SILENT,
    on_values: OnValues | None = None,
    tokens_a_step: int = TOKENS_A_STEP,
) -> np.ndarray:
    """The metric [counterfactual] of each counterfactual, in float64.

    ``on_values(indices, values)`` hears each batch as it is done; ``watch`` is asked before each.
    Raises ``BadParameter`` for a counterfactual without edits or outside the model, ``Unsupported``
    for a site where edits do not act, ``OutOfMemory`` if one row alone does not fit.
    """
    for counterfactual in counterfactuals:
        _check(run, counterfactual)
    batch_of = _replayed if run.lm.verified.path == "replay" else _hooked
    order = sorted(range(len(counterfactuals)), key=lambda i: start_of(counterfactuals[i]))
    rows = max(1, tokens_a_step // len(run.prompt.token_ids))
    values = np.full(len(counterfactuals), np.nan)
    done = 0
    while done < len(order):
        watch.step(done, len(order))
        chosen = order[done : done + rows]
        try:
            logits = batch_of(run, [counterfactuals[i] for i in chosen], metric.info.position)
        except torch.OutOfMemoryError as error:
            if rows == 1:
                raise OutOfMemory(
                    "One forward pass of the prompt does not fit in memory.", "Shorten the prompt."
                ) from error
            rows //= 2
            continue
        values[chosen] = metric.of(logits).double().cpu().numpy()
        if on_values is not None:
            on_values(chosen, values[chosen])
        done += len(chosen)
    watch.step(done, len(order))
    return values


def _replayed(run: Run, batch: list[Counterfactual], position: int) -> torch.Tensor:
    """Logits [row, d_vocab] at ``position``. ``batch`` is in the order of the first edited layer."""
    anatomy = run.lm.anatomy
    starts = [max(0, start_of(counterfactual)) for counterfactual in batch]
    hidden: torch.Tensor | None = None
    for layer in range(starts[0], anatomy.n_layers):
        joining = [row for row, start in enumerate(starts) if start == layer]
        if joining:
            fresh = _layer_input(run, layer, [batch[row] for row in joining])
            hidden = fresh if hidden is None else torch.cat([hidden, fresh.to(hidden.device)])
        assert hidden is not None
        active = batch[: hidden.shape[0]]
        with ExitStack() as stack:
            _enter_edits(stack, run, active, partial(_starts_at, layer))
            hidden = run.calls[layer].replay(anatomy.layers[layer], hidden)
    assert hidden is not None
    return residual_to_logits(anatomy, hidden[:, position])


def _layer_input(run: Run, layer: int, joining: list[Counterfactual]) -> torch.Tensor:
    clean = run.calls[layer].hidden.expand(len(joining), -1, -1)
    edits_embedding = [start_of(counterfactual) < 0 for counterfactual in joining]
    if not any(edits_embedding):
        return clean
    ids = input_ids(run.lm, run.prompt).expand(len(joining), -1)
    with ExitStack() as stack:
        _enter_edits(stack, run, joining, partial(_starts_at, -1))
        return first_layer_input(run.lm.anatomy, ids)


def _hooked(run: Run, batch: list[Counterfactual], position: int) -> torch.Tensor:
    ids = input_ids(run.lm, run.prompt).expand(len(batch), -1)
    with ExitStack() as stack:
        _enter_edits(stack, run, batch, lambda _edit: True)
        return forward_logits(run.lm.anatomy, ids, position)


def _enter_edits(
    stack: ExitStack, run: Run, batch: Sequence[Counterfactual], wanted: Callable[[Edit], bool]
) -> None:
    """Open a hook for every site that the wanted edits of ``batch`` touch."""
    by_site: dict[tuple[str, int], list[tuple[int, Edit]]] = {}
    for row, counterfactual in enumerate(batch):
        for edit in counterfactual:
            if wanted(edit):
                by_site.setdefault((edit.site, edit.layer), []).append((row, edit))
    for (site, layer), rows in by_site.items():
        stack.enter_context(at_site(run.lm.anatomy, site, layer, partial(apply_edits, rows=rows)))


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
        if edit.head is not None and not 0 <= edit.head < anatomy.n_heads:
            raise BadParameter(
                f"Head {edit.head} does not exist.", f"A layer has 0 to {anatomy.n_heads - 1}."
            )
