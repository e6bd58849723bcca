"""When of the last layer no more is run than the position that the metric reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interpboard.models.absorbed_attention import may_absorb
from interpboard.runs.edits import Counterfactual
from interpboard.runs.joins import BEHIND_ATTENTION
from interpboard.runs.record import Run

_AROUND_ATTENTION = ("resid_pre", *BEHIND_ATTENTION)


def reads_one(run: Run, first: int, position: int, stop: int) -> bool:
    """Whether of the last layer ``position`` alone is run, keys and values aside, by rows of the positions
    ``first`` to ``stop`` − 1. On a GPU it would be more launches; in float16 attention is listened to."""
    proved, device = run.lm.verified, run.calls[-1].device
    if proved.path != "replay" or not proved.one_query or device.type != "cpu":
        return False
    return first < position == stop - 1 and run.resid_final.dtype != torch.float16


def absorbs(run: Run, edits: Sequence[Counterfactual], position: int) -> bool:
    """Whether its attention reads the streams of the others, where no keys and values are made of them:
    nothing of ``edits`` is inside it."""
    if not run.lm.verified.absorbed or run.resid_final.dtype not in (torch.float32, torch.float64):
        return False
    around = all(edit.site in _AROUND_ATTENTION for row in edits for edit in row)
    return around and may_absorb(run.lm.anatomy.attention[-1], run.calls[-1], position)
