"""Does a row's answer depend on what is computed beside it, or on later tokens?

Rows of one batch should not know of each other, and no position of a decoder should know of later ones.
Arithmetic can break both: 8-bit matrices whose outlier columns are chosen over all rows and tokens,
experts that take so many tokens and no more. Random prompts seldom show it, so the neighbour is a run
whose stream is given spikes, each position in dimensions of its own.

A model whose rows depend on each other is run a row at a time, over the whole prompt. A model that *looks*
at later tokens predicts no next token and is refused. The two are told apart by a nudge: what is looked
at shows a small change, too; what only sets off another way to compute does not.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import nn

from interpboard.errors import NotALanguageModel
from interpboard.models.anatomy import Anatomy
from interpboard.models.calls import first_layer_input
from interpboard.models.checkpoint.foreign import first_line
from interpboard.models.proof.labels import logits_of_labels
from interpboard.models.proof.rounding import TOLERANCE, Noise, same_within_rounding
from interpboard.models.proof.shortcuts import MISFIT
from interpboard.models.segments import with_segments
from interpboard.models.sites import at_site

_SPIKES = (
    4  # dimensions a position: behind a norm each is about sqrt(d_model / 4), 14 for GPT-2's 768
)
_HEIGHT = 30.0  # times the largest number there
_FEWER = 3
NUDGE = 32.0  # times the tolerance: well above rounding, far below what makes an outlier of a token


@torch.no_grad()
def plain_logits(anatomy: Anatomy, ids: torch.Tensor) -> torch.Tensor:
    """Logits [row, pos, d_vocab] of the plain model. Raises ``NotALanguageModel`` where it cannot run."""
    model: Any = anatomy.model
    head = anatomy.label_head
    try:
        if head is not None and head.reads != "each":
            return logits_of_labels(anatomy, ids)
        given = with_segments(anatomy, ids)
        logits: torch.Tensor = model(input_ids=ids, use_cache=False, **given).logits
    except (RuntimeError, NotImplementedError) as error:  # a kernel that lacks this number format
        raise NotALanguageModel(
            f"{type(model).__name__} cannot run in {model.dtype} on {ids.device}: "
            f"{first_line(error)}.",
            "Try --dtype float32.",
        ) from error
    return logits


def refuse_filling_up(anatomy: Anatomy, ids: torch.Tensor) -> None:
    """Raise ``NotALanguageModel`` for a model that makes prompts like ``ids`` [1, pos] longer (reformer): its
    positions are not the prompt's."""
    tokens, length = ids.shape[1], first_layer_input(anatomy, ids).shape[1]
    if tokens < length <= 2 * tokens:
        raise NotALanguageModel(
            f"{type(anatomy.model).__name__} makes a prompt of {tokens} tokens one of {length}: it fills "
            "prompts up.",
            "Its positions are not those of the prompt: such models are not supported.",
        )


def refuse_unless_finite(name: str, logits: torch.Tensor) -> None:
    """Raise ``NotALanguageModel`` for logits that are not numbers, or that a model masks by infinity."""
    if torch.isfinite(logits).all():
        return
    if not (logits.isnan() | logits.isposinf()).any():
        raise NotALanguageModel(
            f"{name} masks tokens with logits of minus infinity, and no difference to those is a number.",
            "Give such tokens a large negative bias instead, -1e9 say.",
        )
    raise NotALanguageModel(f"{name} gives logits that are not finite.", "Try --dtype float32.")


def beside_others(
    anatomy: Anatomy, ids: torch.Tensor, expected: torch.Tensor, one_step: Noise
) -> tuple[bool, Noise]:
    """Whether rows [row, pos] give ``expected``, their logits alone, beside a row with spikes; and
    what rounding comes to on the way through the layers. ``one_step``: what it does in the head alone."""
    first, count = ids[:1], len(ids)

    def change(spikes: bool, value: torch.Tensor) -> torch.Tensor:
        new = value.clone()
        if spikes:
            new[count] = _spiked(value[count])
        new[count + 1] = disturbed(value[count + 1])
        return new

    try:
        with ExitStack() as stack:
            for layer in range(anatomy.n_layers):
                spikes = layer in (0, anatomy.n_layers // 2)
                act = partial(change, spikes)
                stack.enter_context(at_site(anatomy, "resid_pre", layer, act))
            rows = plain_logits(anatomy, torch.cat([ids, first, first]))
    except (*MISFIT, NotALanguageModel):
        return False, one_step  # it takes one row at a time
    noise = Noise.between(rows[count + 1], rows[0], one_step.parts)
    return same_within_rounding(rows[:count], expected, noise), noise


def depends_on_later(
    anatomy: Anatomy, ids: torch.Tensor, clean: torch.Tensor, noise: Noise
) -> bool:
    """Whether later tokens change how earlier positions of ``ids`` [1, pos] are computed, or that they are
    there at all.

    Raises ``NotALanguageModel`` for a model that looks at them.
    """
    other = ids.clone()
    other[0, -1] = (other[0, -1] + 1) % min(anatomy.d_vocab, 1000)
    spiked = _with_last(anatomy, other, _spiked)
    if same_within_rounding(spiked[:-1], clean[:-1], noise):
        shorter = plain_logits(anatomy, ids[:, :-_FEWER])[0]
        return not same_within_rounding(shorter, clean[:-_FEWER], noise)
    size = NUDGE * TOLERANCE[clean.dtype]
    nudged = _with_last(anatomy, ids, lambda value: value * (1 + size))
    if same_within_rounding(nudged[:-1], clean[:-1], Noise(parts=noise.parts)):
        return True
    raise NotALanguageModel(
        f"{type(anatomy.model).__name__} looks at later tokens, so it predicts no next token.",
        "Choose a decoder (causal) model.",
    )


def head_is_independent(
    residual: torch.Tensor, logits_of: Callable[[torch.Tensor], torch.Tensor], one_step: Noise
) -> bool:
    """Whether ``logits_of`` streams [rows, d_model] gives each the same beside spikes as alone."""
    beside = torch.cat([residual, _spiked(residual)])
    alone = torch.cat([logits_of(row[None]) for row in residual])
    return same_within_rounding(logits_of(beside)[: len(residual)], alone, one_step)


def _with_last(
    anatomy: Anatomy, ids: torch.Tensor, act: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Logits [pos, d_vocab] with ``act`` done to the last position of the embedding.

    Ahead of hooks that others hang there: what they make of it must be heard, too.
    """

    def change(_module: nn.Module, _args: Any, value: torch.Tensor) -> torch.Tensor:
        return torch.cat([value[:, :-1], act(value[0, -1:])[None].to(value)], dim=1)

    handle = anatomy.embedding.register_forward_hook(change, prepend=True)
    try:
        return plain_logits(anatomy, ids)[0]
    finally:
        handle.remove()


def _spiked(stream: torch.Tensor) -> torch.Tensor:
    """``stream`` [pos, d_model] with spikes, at each position in dimensions of its own."""
    new = stream.clone()
    height = _HEIGHT * float(stream.abs().max())
    for position in range(len(stream)):
        dimensions = (torch.arange(_SPIKES) * 11 + position * _SPIKES) % stream.shape[-1]
        new[position, dimensions.to(stream.device)] += height
    return new


def disturbed(stream: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    """``stream`` [..., pos, d_model], every number off by up to a unit in its last place: of its own format,
    or of ``dtype`` where that is narrower."""
    generator = torch.Generator().manual_seed(2)
    by = 2 * torch.rand(stream.shape, generator=generator, dtype=torch.float64) - 1
    unit = max(torch.finfo(format).eps for format in (stream.dtype, dtype or stream.dtype))
    return (stream.double() * (1 + unit * by.to(stream.device))).to(stream.dtype)
