"""Calling one decoder layer again: what it was called with, kept, and expanded to a batch.

In the clean pass a pre-hook keeps each layer's input and its other arguments (mask, rotary angles,
position ids). Calling the module again with them replays the layer with no code per family; whether
that is exact for a given model is for ``selfcheck`` to prove.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from interpboard.models.anatomy import Anatomy


class _EnoughSeen(Exception):
    """Raised at the first layer when only its input was wanted."""


@dataclass(frozen=True)
class LayerCall:
    """One layer's recorded call. ``hidden`` [1, pos, d_model]."""

    hidden: torch.Tensor
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def replay(self, layer: nn.Module, hidden: torch.Tensor) -> torch.Tensor:
        """The layer's output [rows, pos, d_model] for ``hidden`` of the same shape."""
        rows = hidden.shape[0]
        args = [_expand(value, rows) for value in self.args]
        kwargs = {name: _expand(value, rows) for name, value in self.kwargs.items()}
        output = layer(hidden, *args, **kwargs)
        return output[0] if isinstance(output, tuple) else output


@contextmanager
def recording_calls(anatomy: Anatomy, calls: list[LayerCall]) -> Iterator[None]:
    """While open, a forward of one row appends each layer's call to ``calls``."""

    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        rest = dict(kwargs)
        hidden = args[0] if args else rest.pop("hidden_states")
        calls.append(LayerCall(hidden, args[1:], rest))

    with ExitStack() as stack:
        for layer in anatomy.layers:
            handle = layer.register_forward_pre_hook(hook, with_kwargs=True)
            stack.callback(handle.remove)
        yield


def first_layer_input(anatomy: Anatomy, token_ids: torch.Tensor) -> torch.Tensor:
    """Input of layer 0 [batch, pos, d_model] for ``token_ids`` [batch, pos]; no layer is run."""
    seen: list[torch.Tensor] = []

    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen.append(args[0] if args else kwargs["hidden_states"])
        raise _EnoughSeen

    handle = anatomy.layers[0].register_forward_pre_hook(hook, with_kwargs=True)
    try:
        anatomy.base(input_ids=token_ids, use_cache=False)
    except _EnoughSeen:
        pass
    finally:
        handle.remove()
    return seen[0]


def _expand(value: Any, rows: int) -> Any:
    if isinstance(value, torch.Tensor):
        if value.dim() > 1 and value.shape[0] == 1 and rows > 1:
            return value.expand(rows, *value.shape[1:])
        return value
    if isinstance(value, tuple):
        return tuple(_expand(item, rows) for item in value)
    return value
