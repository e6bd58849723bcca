"""Proof that rows of different first positions may lie end to end as one row of tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interpboard.models.anatomy import Anatomy
from interpboard.models.calls import LayerCall
from interpboard.models.end_to_end import Laid, replay_laid
from interpboard.models.proof.rounding import Noise, differs, same_within_rounding
from interpboard.models.proof.shortcuts import MISFIT

_FIRSTS = (0, 2, 2, 5)


@torch.no_grad()
def end_to_end_agrees(
    anatomy: Anatomy, calls: Sequence[LayerCall], layers: Sequence[int], noise: Noise
) -> bool:
    """Whether each of ``layers`` gives rows laid end to end what it gives each by itself: the recorded one
    and three others, two of which begin at the same position."""
    stop = calls[0].hidden.shape[1] - 1
    try:
        return all(_agrees(anatomy, layer, calls[layer], stop, noise) for layer in layers)
    except MISFIT:
        return False


def _agrees(anatomy: Anatomy, layer: int, call: LayerCall, stop: int, noise: Noise) -> bool:
    call.keys_and_values()
    rows = call.hidden[:].repeat(len(_FIRSTS), 1, 1)
    for i in range(1, len(rows)):  # other numbers of the same size
        rows[i] = rows[i].roll(i, 0).flip(-1) if i % 2 else rows[i].roll(i, 0)
    laid = Laid(stop)
    laid.join([0] * len(_FIRSTS), _FIRSTS)
    hidden = torch.cat([row[first:stop] for row, first in zip(rows, _FIRSTS, strict=True)])
    found = replay_laid(anatomy, layer, call, hidden, laid)
    begin = 0
    for row, first in zip(rows, _FIRSTS, strict=True):
        expected = call.replay(row[None, first:stop], first=first)[0]
        own = found[begin : begin + len(expected)]
        if not same_within_rounding(own, expected, noise):
            return False
        begin += len(expected)
    return differs(found[: stop - 2], found[stop : 2 * stop - 2])  # or it would show nothing
