"""A backward pass through many layers in the memory of one.

What a layer's backward pass needs is dropped as the layer is left and computed anew when the backward
pass comes to it: the same arithmetic on the same input, so the same gradient, for a third more work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from interpboard.models.anatomy import Anatomy


@contextmanager
def layers_recomputed(anatomy: Anatomy) -> Iterator[None]:
    """While open, layers keep only their inputs for the backward pass. End it inside, too.

    For models whose layers can be replayed: others may give something else the second time.
    """
    before = {layer: layer.__dict__.get("forward") for layer in anatomy.layers}
    for layer in before:
        layer.forward = partial(_twice, layer.forward)
    try:
        yield
    finally:
        for layer, own in before.items():
            _restore(layer, own)


def _restore(layer: nn.Module, own: Any) -> None:
    del layer.forward
    if own is not None:
        layer.forward = own


def _twice(own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return own(*args, **kwargs)
    return checkpoint(
        partial(_on_copies, own),
        *args,
        use_reentrant=False,
        preserve_rng_state=False,
        **kwargs,
    )


def _on_copies(own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Some families add to a layer's input in place: the second time it must be there as it was."""
    return own(*map(_copy, args), **{name: _copy(value) for name, value in kwargs.items()})


def _copy(value: Any) -> Any:
    is_stream = isinstance(value, torch.Tensor) and value.requires_grad
    return value.clone() if is_stream else value
