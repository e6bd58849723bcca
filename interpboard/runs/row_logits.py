"""The logits of a run's rows."""

from __future__ import annotations

from contextlib import ExitStack

import torch

from interpboard.models.tail import forward_logits, residual_to_logits
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
    ids = input_ids(lm, run.prompt).expand(run.batch, -1)
    with ExitStack() as stack:
        enter_edits(stack, lm, list(run.edits), lambda _edit: True)
        return forward_logits(lm.anatomy, ids, position)
