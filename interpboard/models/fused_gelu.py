"""A linear map and the tanh GELU behind it in one: oneDNN activates what its product has just made, where
a pass of its own takes half as long as the product.

Which map an activation follows is seen at load, by one being given the very tensor that the other gave
(``proof.fused_gelu``). Where anybody looks at what passes between them, or a gradient is asked for, they
compute one after the other, as ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from interpboard.models.anatomy import Anatomy
from interpboard.models.faster_parts import (
    Forward,
    faster_parts,
    is_plain_map,
    is_tanh_gelu,
    out_in,
    product,
    products_are_faster,
)
from interpboard.models.module_hooks import standing_in

FusedNames = tuple[str, str] | None
"""Of a layer: the names within it of a linear map and of the activation behind it; None: there is none that
is known to be followed so."""
_FEWEST = 64  # rows: of fewer both are over before the kernel is found
_AS_IT_LIES = 1 << 18  # numbers of a transposed weight: larger ones take twice as long


@contextmanager
def faster_passes(
    anatomy: Anatomy, faster: bool, names_by_layer: Sequence[FusedNames]
) -> Iterator[None]:
    """While open, layers compute by what they proved of faster kernels: ``Verified.faster_parts`` and
    ``Verified.fused_gelu``. For passes of which no gradient is taken; in others maps and activations compute
    one after the other."""
    pairs = [
        pair
        for layer, names in zip(anatomy.layers, names_by_layer, strict=False)
        if (pair := pair_of(layer, names)) is not None
    ]
    with ExitStack() as stack:
        if faster:
            stack.enter_context(faster_parts(anatomy))
        for pair in pairs:
            stack.enter_context(fused(*pair, _FEWEST))
        yield


def pair_of(layer: nn.Module, names: FusedNames) -> tuple[nn.Module, nn.Module] | None:
    """The map and the activation of ``names`` in ``layer``, as long as they are no more than their class."""
    if names is None:
        return None
    linear, activation = (layer.get_submodule(name) for name in names)
    plain = is_plain_map(linear) and is_tanh_gelu(activation)
    own = any("forward" in vars(module) for module in (linear, activation))
    return (linear, activation) if plain and not own else None


@contextmanager
def fused(linear: nn.Module, activation: nn.Module, fewest: int) -> Iterator[None]:
    """While open, ``linear`` gives what ``activation`` makes of it, of ``fewest`` rows and more."""
    both = _Fused(linear, activation, fewest)
    with standing_in(linear, both.map), standing_in(activation, both.activate):
        yield


class _Fused:
    """What stands in for a map and the activation behind it. What they compute else is theirs."""

    def __init__(self, linear: nn.Module, activation: nn.Module, fewest: int) -> None:
        self.linear, self.activation, self.fewest = linear, activation, fewest
        self.own_map: Forward = linear.forward
        self.own_activation: Forward = activation.forward
        self._made: torch.Tensor | None = None

    def map(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The activation already, or what the map gives by itself."""
        self._made = None
        given = args[0] if len(args) == 1 and not kwargs else None
        if type(given) is not torch.Tensor or not self._may(given):
            return self.own_map(*args, **kwargs)
        self._made = product(given, out_in(self.linear), self.linear.bias, gelu=True)  # type: ignore[arg-type]
        return self._made

    def activate(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """What is given, where the map has activated it already."""
        made, self._made = self._made, None
        if made is None:
            return self.own_activation(*args, **kwargs)
        if len(args) != 1 or kwargs or args[0] is not made:
            raise RuntimeError("an activation is not given what the map before it gave")
        return made

    def _may(self, given: torch.Tensor) -> bool:
        between = (
            self.linear._forward_hooks, self.linear._backward_hooks,
            self.activation._forward_pre_hooks, self.activation._backward_pre_hooks,
        )  # fmt: skip
        if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or any(between):
            return False
        if given.dtype != torch.float32 or given.numel() < self.fewest * given.shape[-1]:
            return False
        weight = out_in(self.linear)
        return weight.is_contiguous() or weight.numel() <= _AS_IT_LIES or products_are_faster()
