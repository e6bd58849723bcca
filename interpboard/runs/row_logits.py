"""The logits of a run's rows."""

from __future__ import annotations

from contextlib import ExitStack

import torch

from interpboard.models.finite import Tally
from interpboard.models.unembedding import forward_logits, residual_to_logits
from interpboard.runs.edits import Counterfactual
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import Run, enter_edits


@torch.no_grad()
def row_logits(run: Run, position: int) -> torch.Tensor:
    """Logits [row, d_vocab] at ``position``, from the recorded stream where the model's head was verified.

    Elsewhere by one more forward pass: there the stream alone does not say what the model says.
    """
    lm = run.lm
    if lm.verified.lens:
        return residual_to_logits(lm.anatomy, run.resid_final[:, position])
    return edited_logits(run, list(run.edits), position)


@torch.no_grad()
def edited_logits(
    run: Run,
    rows: list[Counterfactual],
    position: int,
    stop: int | None = None,
    tally: Tally | None = None,
) -> torch.Tensor:
    """Logits [row, d_vocab] at ``position`` of a plain forward pass of the prompt with the edits of each
    of ``rows`` made; of the prompt up to ``stop`` where later tokens do not matter. ``tally`` hears it."""
    ids = input_ids(run.lm, run.prompt)[:, :stop].expand(len(rows), -1)
    with ExitStack() as stack:
        enter_edits(stack, run.lm, rows, lambda _edit: True, tally=tally)
        if tally is not None:
            stack.enter_context(tally.over(run.lm.anatomy))
        return forward_logits(run.lm.anatomy, ids, position)
