"""Proof of replay: layers called again, on edited rows beside rows of another prompt.

Layers that are called with the recorded arguments give the recorded output; that alone shows little. A
layer may be handed more than the stream (a router's state, keys and values that an earlier layer
shares), and a replay hands it the *recorded* one. So rows are edited, early and in the middle, beside
one that is not and beside those of another prompt, and all of them must be what plain hooked
forwards give.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from interpboard.models.anatomy import Anatomy
from interpboard.models.calls import LayerCall, recording_calls
from interpboard.models.proof.rounding import Noise, differs, same_within_rounding
from interpboard.models.proof.rows import plain_logits
from interpboard.models.proof.shortcuts import MISFIT
from interpboard.models.sites import at_site
from interpboard.models.unembedding import residual_to_logits


@dataclass(frozen=True)
class _Case:
    """A row of prompt ``base`` that joins at layer ``start``; its stream there is edited at ``position``
    (None: nowhere), where the other prompt's takes its place."""

    base: int
    start: int
    position: int | None


@dataclass(frozen=True)
class _Runs:
    """Logits [row, pos, d_vocab] and the last stream [row, pos, d_model], which has what no logit reads."""

    logits: torch.Tensor
    stream: torch.Tensor

    def differ(self, clean: _Runs, cases: Sequence[_Case], noise: Noise, what: str) -> bool:
        """Whether every edited row is seen to differ from its unedited prompt in ``what``."""
        edited, base = getattr(self, what), getattr(clean, what)
        return all(
            differs(edited[row, case.position :], base[case.base, case.position :], noise)
            for row, case in enumerate(cases)
            if case.position is not None
        )


@torch.no_grad()
def replay_agrees(
    anatomy: Anatomy, ids: torch.Tensor, noise: Noise, whole: bool = False
) -> tuple[bool, bool]:
    """Whether replays of two prompts ``ids`` [2, pos] are exact, and whether they still are where they
    begin at a later position with recorded keys and values before it. ``whole``: every position is always
    there (encoders), and a replay never begins later."""
    calls: list[LayerCall] = []
    middle = anatomy.n_layers // 2
    try:
        with recording_calls(anatomy, calls):
            clean = _run(anatomy, ids)
        if read_the_embedding(anatomy, ids, calls):
            return False, False
        # In the order in which they join.
        cases = (_Case(0, 0, None), _Case(1, 0, 3), _Case(0, middle, 2), _Case(1, middle, None))
        expected = _hooked(anatomy, ids, calls, cases)
        # An edit that does nothing shows nothing. What no logit reads (of a model that was compiled for one
        # thing) is looked at before them.
        by_logits = expected.differ(clean, cases, noise, "logits")
        if not by_logits and not expected.differ(clean, cases, noise.elsewhere, "stream"):
            return False, False
    except MISFIT:
        return False, False
    if whole and not all(_rows_are_known(call, len(ids)) for call in calls):
        return False, False
    stop = expected.logits.shape[1] - (0 if whole else 1)
    agree = partial(_agree, anatomy, calls, cases, expected, stop, noise=noise, by_logits=by_logits)
    replays = agree(first=0)
    return replays, replays and not whole and agree(first=2)


def _rows_are_known(call: LayerCall, rows: int) -> bool:
    """Whether no argument could be taken for one of each row (or position) on another prompt: relative
    embeddings (deberta), whose first dimension is neither 1 nor the rows."""
    tensors = [
        part
        for value in call.arguments.values()
        for part in (value if isinstance(value, tuple) else (value,))
        if isinstance(part, torch.Tensor) and part.dim() > 1
    ]
    return all(part.shape[0] in (1, rows) for part in tensors)


def read_the_embedding(anatomy: Anatomy, ids: torch.Tensor, calls: Sequence[LayerCall]) -> bool:
    """Whether layers are handed more of the embedding than the stream (zamba): a replay would give them
    the recorded one, where it is edited."""
    edited: list[LayerCall] = []
    with (
        at_site(anatomy, "embed", None, lambda value: value.flip(0)),
        recording_calls(anatomy, edited),
    ):
        plain_logits(anatomy, ids)
    return any(
        not _same(mine.arguments, other.arguments)
        for mine, other in zip(calls, edited, strict=True)
    )


def _same(one: Any, other: Any) -> bool:
    """Whether all tensors in two arguments of a layer are the same."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and bool((one == other).all())
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(_same, one, other))
    return True


def _run(anatomy: Anatomy, ids: torch.Tensor) -> _Runs:
    """A plain forward of ``ids`` [row, pos]."""
    streams: list[torch.Tensor] = []
    with at_site(anatomy, "resid_post", anatomy.n_layers - 1, streams.append):
        logits = plain_logits(anatomy, ids)
    return _Runs(logits, streams[0])


def _hooked(
    anatomy: Anatomy, ids: torch.Tensor, calls: Sequence[LayerCall], cases: Sequence[_Case]
) -> _Runs:
    """Plain forwards [case, ...], one hook an edit."""

    def edit(row: int, case: _Case) -> _Runs:
        with ExitStack() as stack:
            if case.position is not None:
                at = case.position
                new = calls[case.start].hidden[1 - case.base, at]

                def put(value: torch.Tensor) -> torch.Tensor:
                    value = value.clone()
                    value[0, at] = new
                    return value

                stack.enter_context(at_site(anatomy, "resid_pre", case.start, put))
            return _run(anatomy, ids[case.base, None])

    runs = [edit(row, case) for row, case in enumerate(cases)]
    return _Runs(torch.cat([r.logits for r in runs]), torch.cat([r.stream for r in runs]))


def _agree(
    anatomy: Anatomy,
    calls: Sequence[LayerCall],
    cases: Sequence[_Case],
    expected: _Runs,
    stop: int,
    first: int,
    noise: Noise,
    by_logits: bool,
) -> bool:
    """Whether replays of the positions ``first`` to ``stop`` − 1 are as ``expected``."""
    part = slice(first, stop)
    try:
        stream = _replayed(calls, cases, first, part.stop)
        logits = torch.stack([residual_to_logits(anatomy, row) for row in stream])
    except MISFIT:
        return False
    agree = same_within_rounding(logits, expected.logits[:, part].to(logits.device), noise)
    last = expected.stream[:, part].to(stream.device)
    return agree and (by_logits or same_within_rounding(stream, last, noise.elsewhere))


def _replayed(
    calls: Sequence[LayerCall], cases: Sequence[_Case], first: int, stop: int
) -> torch.Tensor:
    """The last stream [case, pos, d_model]."""
    if first:
        for call in calls:
            call.keys_and_values()
    hidden = calls[0].hidden[:0, first:stop]
    joined = 0
    for layer, call in enumerate(calls):
        fresh = [case for case in cases[joined:] if case.start == layer]
        parts = [hidden.to(call.hidden.device), *(_edited(call, c, first, stop) for c in fresh)]
        hidden = torch.cat(parts)
        joined += len(fresh)
        base = torch.tensor([case.base for case in cases[:joined]], device=hidden.device)
        hidden = call.replay(hidden, base, first)
    return hidden


def _edited(call: LayerCall, case: _Case, first: int, stop: int) -> torch.Tensor:
    hidden = call.hidden[case.base].clone()
    if case.position is not None:
        hidden[case.position] = call.hidden[1 - case.base, case.position]
    return hidden[None, first:stop]
