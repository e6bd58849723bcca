"""Proof of replay over two strips: layers called again, on edited rows beside rows of another prompt.

As for a single stack (``proof.replay``), with a row that begins in each kind of place: at the first layer,
within the encoder, at the decoder's first half and at a cross attention. Those that begin in the decoder take
the recorded states, keys and values beside rows whose encoder was edited. All must be what plain hooked
forwards give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from interpboard.models.anatomy import Anatomy
from interpboard.models.calls import LayerCall, recording_calls
from interpboard.models.proof.replay import read_the_embedding
from interpboard.models.proof.rounding import Noise, differs, same_within_rounding
from interpboard.models.proof.rows import plain_logits
from interpboard.models.proof.shortcuts import MISFIT
from interpboard.models.sites import at_site
from interpboard.models.strips import DECODER, ENCODER, group_of
from interpboard.models.unembedding import residual_to_logits


@dataclass(frozen=True)
class _Case:
    """A row of prompt ``base`` that joins at layer ``start``. Its stream there is the other prompt's from
    ``position`` to the end of its strip (None: nowhere)."""

    base: int
    start: int
    position: int | None


@torch.no_grad()
def strips_replay(anatomy: Anatomy, both: torch.Tensor, border: int, noise: Noise) -> bool:
    """Whether replays of two prompts ``both`` [2, pos], coded, are exact."""
    assert anatomy.strips is not None
    calls: list[LayerCall] = []
    try:
        with recording_calls(anatomy, calls):
            clean = plain_logits(anatomy, both)[:, border:]
        if len(calls) != anatomy.n_layers or read_the_embedding(anatomy, both, calls):
            return False
        cases = _cases(anatomy.strips.names, border)
        expected = torch.cat(
            [_hooked(anatomy, both, calls, case, border)[:, border:] for case in cases]
        )
        shown = all(
            differs(expected[row], clean[case.base], noise)
            for row, case in enumerate(cases)
            if case.position is not None
        )
        if not shown or not _begins_alike(anatomy, both, calls):
            return False
        stream = _replayed(calls, cases, border)[:, border:]
        logits = torch.stack([residual_to_logits(anatomy, row) for row in stream])
    except MISFIT:
        return False
    return same_within_rounding(logits, expected, noise)


def _cases(names: Sequence[str], border: int) -> tuple[_Case, ...]:
    """In the order in which they join."""
    n_encoder = sum(group_of(name) == ENCODER for name in names)
    halves = len(names) - n_encoder
    middle = n_encoder + halves // 2
    first_half = middle if group_of(names[middle]) == DECODER else middle - 1
    return (
        _Case(0, 0, None),
        _Case(1, 0, 3),
        _Case(0, n_encoder // 2, 2),
        _Case(1, n_encoder, border + 1),
        _Case(0, first_half, border),
        _Case(0, first_half + 1, border + 2),
        _Case(1, len(names) - 1, None),
    )


def _hooked(
    anatomy: Anatomy, both: torch.Tensor, calls: Sequence[LayerCall], case: _Case, border: int
) -> torch.Tensor:
    """Logits [1, pos, d_vocab] of a plain forward with one hook."""
    ids = both[case.base, None]
    if case.position is None:
        return plain_logits(anatomy, ids)
    part = _changed(case, border)
    new = calls[case.start].hidden[1 - case.base, part]

    def put(value: torch.Tensor) -> torch.Tensor:
        value = value.clone()
        value[0, part] = new.to(value)
        return value

    with at_site(anatomy, "resid_pre", case.start, put):
        return plain_logits(anatomy, ids)


def _changed(case: _Case, border: int) -> slice:
    assert case.position is not None
    return slice(case.position, border if case.position < border else None)


def _replayed(calls: Sequence[LayerCall], cases: Sequence[_Case], border: int) -> torch.Tensor:
    """The last stream [case, pos, d_model]."""
    hidden = calls[0].hidden[:0]
    joined = 0
    for layer, call in enumerate(calls):
        fresh = [case for case in cases[joined:] if case.start == layer]
        hidden = torch.cat([hidden, *(_edited(call, case, border) for case in fresh)])
        joined += len(fresh)
        base = torch.tensor([case.base for case in cases[:joined]], device=hidden.device)
        hidden = call.replay(hidden, base)
    return hidden


def _edited(call: LayerCall, case: _Case, border: int) -> torch.Tensor:
    hidden = call.hidden[case.base].clone()
    if case.position is not None:
        part = _changed(case, border)
        hidden[part] = call.hidden[1 - case.base, part]
    return hidden[None]


def _begins_alike(anatomy: Anatomy, both: torch.Tensor, calls: Sequence[LayerCall]) -> bool:
    """Whether the inputs of both stacks, made without running a layer, are those that were recorded."""
    assert anatomy.strips is not None
    return same_within_rounding(anatomy.strips.first_inputs(both), calls[0].hidden[:])
