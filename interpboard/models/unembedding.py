"""From the residual stream to logits, by the model's own code.

What follows the unembedding differs between families (soft caps, logit scales, biases). So the head
is not rebuilt: the model's own forward is called with its body standing aside and handing over a
hidden state of ours. Whatever the model does to its logits is done to these. Where only a few tokens'
logits are asked for, the unembedding lends just their rows, and the rest of the head is again its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear
from transformers.utils.generic import ModelOutput

from interpboard.errors import Unsupported
from interpboard.models.anatomy import Anatomy
from interpboard.models.as_opened import require_as_opened
from interpboard.models.caught_body import CaughtBody
from interpboard.models.crossing import to_device
from interpboard.models.module_hooks import standing_in
from interpboard.models.segments import with_segments


@dataclass
class _Body(ModelOutput):
    """What a head is handed. Every field but the last hidden state is None, as in a body's output when
    it was asked for nothing more; whether a head needs more is for ``selfcheck`` to find out."""

    last_hidden_state: Any = None
    pooler_output: Any = None

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


def unembed(anatomy: Anatomy, normed: torch.Tensor) -> torch.Tensor:
    """Logits [rows, d_vocab] of final hidden states [rows, d_model], after the final norm."""
    head = anatomy.label_head
    picks = head is not None and head.reads == "last"  # a token out of what this gives
    if picks or isinstance(anatomy.base, CaughtBody):
        found: torch.Tensor = anatomy.unembedding(normed)
        return found
    placeholder = torch.zeros((normed.shape[0], 1), dtype=torch.long, device=normed.device)
    with _standing_aside(anatomy, _handed_over(anatomy, normed[:, None, :])):
        output = model_output(anatomy, placeholder, return_dict=True)
    return output.logits[:, 0] if head is None or head.reads == "each" else output.logits


def model_output(anatomy: Anatomy, token_ids: torch.Tensor, **options: Any) -> Any:
    """What the whole model gives for ``token_ids`` [row, pos], one choice each where it takes several."""
    head = anatomy.label_head
    ids = token_ids[:, None] if head is not None and head.choices else token_ids
    model: Any = anatomy.model
    options |= with_segments(anatomy, ids)
    return model(input_ids=ids, use_cache=False, **options)


def read_by_head(anatomy: Anatomy, hidden: torch.Tensor, position: int) -> torch.Tensor:
    """What the head makes the logits at ``position`` of [row, d_model], of ``hidden`` [row, pos, d_model]."""
    head = anatomy.label_head
    return hidden[:, position] if head is None else head.read(hidden, position)


def residual_to_logits(anatomy: Anatomy, residual: torch.Tensor) -> torch.Tensor:
    """Logits [rows, d_vocab] of residual streams [rows, d_model], as if the model ended there."""
    return unembed(anatomy, anatomy.final_norm(residual))


def residual_to_some_logits(
    anatomy: Anatomy, residual: torch.Tensor, tokens: torch.Tensor
) -> torch.Tensor:
    """Logits [rows, len(tokens)] of ``tokens`` (ids) alone; else as ``residual_to_logits``.

    Right where what the head does behind the unembedding looks at one logit at a time, which
    ``selfcheck`` proves. Raises ``TypeError`` where the unembedding is no linear map.
    """
    return unembed_some(anatomy, anatomy.final_norm(residual), tokens)


def unembed_some(anatomy: Anatomy, normed: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Logits [rows, len(tokens)] of ``tokens`` (ids) alone for final hidden states [rows, d_model], after the
    final norm. Right, and raises, as ``residual_to_some_logits``."""
    with _unembedding_only(anatomy.unembedding, tokens):
        return unembed(anatomy, normed)


def unembed_between(
    anatomy: Anatomy,
    normed: torch.Tensor,
    tokens: slice,
    by: Callable[..., torch.Tensor] = linear,
) -> torch.Tensor:
    """Logits [rows, token] of a run of ``tokens`` for final hidden states [rows, d_model], after the final
    norm. Right, and raises, as ``residual_to_some_logits``; no weight is copied. ``by``: the product of what
    is given, weight and bias."""
    with _unembedding_only(anatomy.unembedding, tokens, by):
        return unembed(anatomy, normed)


def run_body(anatomy: Anatomy, token_ids: torch.Tensor, **options: Any) -> Any:
    """What the model but for its head gives for ``token_ids`` [rows, pos].

    Raises ``Unsupported`` for several rows on a model whose rows depend on each other, and for a model in
    training mode.
    """
    require_as_opened(anatomy)
    if anatomy.alone and len(token_ids) > 1:
        raise Unsupported(
            "This runs several rows in one forward pass, where on this model each changes the others.",
            "Load its weights in another format (bitsandbytes: with llm_int8_threshold=0).",
        )
    body: Any = anatomy.base
    options |= with_segments(anatomy, token_ids)
    return body(input_ids=token_ids, use_cache=False, return_dict=True, **options)


def forward_logits(anatomy: Anatomy, token_ids: torch.Tensor, position: int) -> torch.Tensor:
    """Logits [rows, d_vocab] at ``position`` of ``token_ids`` [rows, pos]; no others are computed.

    Raises as ``run_body``.
    """
    body = run_body(anatomy, token_ids)
    return unembed(anatomy, read_by_head(anatomy, body.last_hidden_state, position))


def _handed_over(anatomy: Anatomy, hidden: torch.Tensor) -> _Body:
    """A body's output with ``hidden`` [row, 1, d_model] in it, pooled where a head of labels wants that."""
    pooler = getattr(anatomy.base, "pooler", None) if anatomy.label_head is not None else None
    if not isinstance(pooler, nn.Module):
        return _Body(last_hidden_state=hidden)
    act = getattr(
        anatomy.base, "pooler_activation", None
    )  # albert: a linear map, and this behind it
    pooled = pooler(hidden) if act is None else act(pooler(hidden[:, 0]))
    return _Body(last_hidden_state=hidden, pooler_output=pooled)


@contextmanager
def _standing_aside(anatomy: Anatomy, output: _Body) -> Iterator[None]:
    bodies: tuple[Any, ...] = anatomy.bodies
    # A forward of a module's own is there where a model is spread over devices.
    forwards = [body.__dict__.get("forward") for body in bodies]
    for body in bodies:
        body.forward = lambda *_args, **_kwargs: output
    try:
        yield
    finally:
        for body, forward in zip(bodies, forwards, strict=True):
            del body.forward
            if forward is not None:
                body.forward = forward


@contextmanager
def _unembedding_only(
    unembedding: nn.Module,
    tokens: torch.Tensor | slice,
    by: Callable[..., torch.Tensor] = linear,
) -> Iterator[None]:
    if not isinstance(unembedding, nn.Linear):
        raise TypeError(f"{type(unembedding).__name__} is no linear map")
    if unembedding.weight.is_meta:  # on disk: it is there only while the module itself runs
        raise TypeError("the weight of the unembedding is on disk")
    if isinstance(tokens, torch.Tensor):
        tokens = to_device(tokens, unembedding.weight.device)
    weight = unembedding.weight[tokens]
    bias = None if unembedding.bias is None else unembedding.bias[tokens]
    with standing_in(unembedding, lambda hidden: by(hidden, weight, bias)):
        yield
