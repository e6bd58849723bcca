"""Running only the part of a layer that is asked for, by the layer's own code.

``mlp_at``: the MLP at one position. A layer adds what its MLP gives to the residual stream; given one
position, the sum is right there (and only there: elsewhere it is that position's MLP output by
broadcasting). ``attention_kept``: rows whose first edit lies behind attention take their head outputs
``z`` as recorded; attention proper runs on the other rows alone. Neither holds for every family
(parallel blocks): ``selfcheck`` proves it or it is not used. Attention that adds the stream itself (bloom)
is given it as ``residual``: of the rows that keep their attention it is added here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from interpboard.models.kept_tensors import Keeper, Kept
from interpboard.models.module_hooks import standing_in
from interpboard.models.own_attention import runs_on

_STREAM = "residual"  # what attention adds to its output itself, by the name of its argument


@contextmanager
def mlp_at(before_mlp: nn.Module, index: int) -> Iterator[None]:
    """While open, ``before_mlp`` (and all behind it) gets position ``index`` of [batch, pos, d_model].

    Raises ``ValueError`` in a layer that hands its MLP something of another shape.
    """

    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        hidden = args[0] if args else kwargs["hidden_states"]
        if hidden.dim() != 3:
            raise ValueError("the MLP sees all positions of all rows in one dimension")
        part = hidden[:, index : index + 1]
        if args:
            return (part, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": part}

    handle = before_mlp.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@dataclass(frozen=True, eq=False)
class KeptAttention:
    """What one layer's attention gave in a recorded pass.

    ``z`` [batch, pos, n_heads · d_head]: the input of the output projection; ``output``: whatever the
    attention module returned, so that the same can be returned with another first entry.
    """

    attention: nn.Module
    out_proj: nn.Module
    z: Kept
    output: Any

    def returned(self, attended: torch.Tensor) -> Any:
        """``attended`` in the form in which the attention module returns its output."""
        if isinstance(self.output, (tuple, list)):
            return (attended, *(None for _ in self.output[1:]))
        return attended


@contextmanager
def recording_attention(
    attention: nn.Module,
    out_proj: nn.Module,
    kept: list[KeptAttention],
    keeper: Keeper | None = None,
) -> Iterator[None]:
    """While open, a forward appends what ``attention`` gave to ``kept``; ``keeper`` keeps it."""
    keeper = keeper or Keeper()
    z: list[torch.Tensor] = []

    def before(_module: nn.Module, args: tuple[Any, ...]) -> None:
        z.append(args[0])

    def after(_module: nn.Module, _args: Any, output: Any) -> None:
        # Of the output only its form is needed.
        form = (None,) * len(output) if isinstance(output, (tuple, list)) else None
        kept.append(KeptAttention(attention, out_proj, keeper.keep(z.pop()), form))

    handles = (
        out_proj.register_forward_pre_hook(before),
        attention.register_forward_hook(after),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def attention_kept(
    kept: KeptAttention, real: int, attended: Callable[[], torch.Tensor]
) -> Iterator[None]:
    """While open, attention runs on the first ``real`` rows; ``attended()`` gives the other rows' output."""

    def forward(*args: Any, **kwargs: Any) -> Any:
        others = attended()
        stream = args[added_at] if 0 < added_at < len(args) else kwargs.get(_STREAM)
        if stream is not None:
            others = others + stream[real:].to(others.device)
        runs_on(kept.attention, real)
        if real == 0:
            return kept.returned(others)
        if args:
            args = (args[0][:real], *args[1:])
        else:
            kwargs = {**kwargs, "hidden_states": kwargs["hidden_states"][:real]}
        if stream is not None:
            args, kwargs = _given(args, kwargs, added_at, stream[:real])
        output = original(*args, **kwargs)
        first = output[0] if isinstance(output, (tuple, list)) else output
        joined = torch.cat([first, others])
        return (joined, *output[1:]) if isinstance(output, (tuple, list)) else joined

    original = kept.attention.forward
    named = [*inspect.signature(original).parameters]
    added_at = named.index(_STREAM) if _STREAM in named else 0
    with standing_in(kept.attention, forward):
        yield


def _given(
    args: tuple[Any, ...], kwargs: dict[str, Any], place: int, stream: torch.Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of attention with ``stream`` as the one that it adds."""
    if place < len(args):
        return (*args[:place], stream, *args[place + 1 :]), kwargs
    return args, {**kwargs, _STREAM: stream}
