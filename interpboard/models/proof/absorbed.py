"""Proof that the last layer's attention of one query may absorb what keys and values are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interpboard.models.absorbed_attention import absorbed, may_absorb
from interpboard.models.anatomy import Anatomy
from interpboard.models.calls import LayerCall
from interpboard.models.proof.rounding import Noise, differs, same_within_rounding
from interpboard.models.proof.shortcuts import MISFIT


@torch.no_grad()
def absorbed_agrees(anatomy: Anatomy, calls: Sequence[LayerCall], noise: Noise) -> bool:
    """Whether the last layer gives at one position what it gives there among all, where its attention reads
    the normed streams of the others: of the recorded row beside one that is another before that position,
    begun at the first position and at a later one, with recorded keys and values before it."""
    index, call, attention = 5, calls[-1], anatomy.attention[-1]
    if not may_absorb(attention, call, index):
        return False
    hidden = call.hidden[:, : index + 1].repeat(2, 1, 1)
    hidden[1, 2:index] = call.hidden[0, 2:index].flip(-1)
    base = torch.zeros(2, dtype=torch.long)
    try:
        for first in (0, 2):
            given = hidden[:, first:]
            whole = call.replay(given, first=first)[:, -1:]
            if not differs(whole[:1], whole[1:]):
                return False  # it would show nothing
            normed = call.given_to(attention, given, base, first)
            with absorbed(attention, normed, call.recorded(base, first) if first else None):
                one = call.replay(given[:, -1:], base, index)
            if not same_within_rounding(one, whole, noise):
                return False
    except MISFIT:
        return False
    return True
