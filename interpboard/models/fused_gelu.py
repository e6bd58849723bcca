"""A linear map and the tanh GELU behind it in one: oneDNN activates what its product has just made, where
a pass of its own takes half as long as the product. Where the map's own product is the quicker one, bias and
activation are put where it lies, in pieces that stay in the cache: map, GELU and the map behind it take 0.94
of the time (1,024 rows of GPT-2 small).

Which map an activation follows is seen at load, by one being given the very tensor that the other gave
(``proof.fused_gelu``). Where anybody looks at what passes between them, or a gradient is asked for, they
compute one after the other, as ever.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from interpboard.models.faster_parts import (
    Forward,
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
_PIECE = 1 << 17  # numbers a thread: two or three pieces stay in its cache
GELU_TWICE = 2 * math.sqrt(2 / math.pi)  # (1 + tanh u) / 2 is sigmoid 2u
GELU_CUBE = 0.044715


def pair_of(layer: nn.Module, names: FusedNames) -> tuple[nn.Module, nn.Module] | None:
    """The map and the activation of ``names`` in ``layer``, as long as they are no more than their class."""
    if names is None:
        return None
    linear, activation = (layer.get_submodule(name) for name in names)
    plain = is_plain_map(linear) and is_tanh_gelu(activation)
    own = any("forward" in vars(module) for module in (linear, activation))
    return (linear, activation) if plain and not own else None


@contextmanager
def fused(linear: nn.Module, activation: nn.Module, fewest: int | None = None) -> Iterator[Fused]:
    """While open, ``linear`` and ``activation`` compute in one, of ``fewest`` rows and more (None: of so
    many that it pays)."""
    both = Fused(linear, activation, _FEWEST if fewest is None else fewest)
    with standing_in(linear, both.map), standing_in(activation, both.activate):
        yield both


def rows_a_piece(values: torch.Tensor) -> int:
    """How many rows of ``values`` [row, out] stay in the cache while they are gone over several times."""
    return max(1, _PIECE * torch.get_num_threads() // values.shape[-1])


def gelu_in_place(values: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """The tanh GELU of ``values`` [row, out] plus ``bias`` [out], of float32, put in their place.

    x · sigmoid(2u) is x · (1 + tanh u) / 2, and no number is lost where tanh is all but −1.
    """
    rows = rows_a_piece(values)
    beside = torch.empty_like(values[:rows])
    twice = values.new_tensor(GELU_TWICE)
    for some in values.split(rows):
        share = beside[: len(some)]
        if bias is not None:
            some.add_(bias)
        torch.addcmul(twice, some, some, value=GELU_TWICE * GELU_CUBE, out=share)
        some.mul_(share.mul_(some).sigmoid_())
    return values


class Fused:
    """What stands in for a map and the activation behind it. What they compute else is theirs. ``took``: how
    often they were computed in one."""

    def __init__(self, linear: nn.Module, activation: nn.Module, fewest: int) -> None:
        self.linear, self.activation, self.fewest = linear, activation, fewest
        self.own_map: Forward = linear.forward
        self.own_activation: Forward = activation.forward
        self.took = 0
        self._made: torch.Tensor | None = None

    def map(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The activation already, or the product alone, or what the map gives by itself."""
        self._made = None
        given = args[0] if len(args) == 1 and not kwargs else None
        if type(given) is not torch.Tensor or not self._may(given):
            return self.own_map(*args, **kwargs)
        weight, bias = out_in(self.linear), self.linear.bias
        if self.one_kernel():
            self._made = product(given, weight, bias, gelu=True)  # type: ignore[arg-type]
        else:  # the bias would be written before the product, and read from there
            rows = torch.mm(given.reshape(-1, given.shape[-1]), weight.T)
            self._made = rows.view(*given.shape[:-1], -1)
        return self._made

    def activate(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """What is given, where the map has activated it already, or made so where it lies."""
        made, self._made = self._made, None
        if made is None:
            return self.own_activation(*args, **kwargs)
        if len(args) != 1 or kwargs or args[0] is not made:
            raise RuntimeError("an activation is not given what the map before it gave")
        self.took += 1
        if not self.one_kernel():
            bias: torch.Tensor | None = self.linear.bias  # type: ignore[assignment]
            gelu_in_place(made.view(-1, made.shape[-1]), bias)
        return made

    def one_kernel(self) -> bool:
        """Whether oneDNN's product is the one to take: where the map's own is not the quicker."""
        weight = out_in(self.linear)
        return weight.is_contiguous() or weight.numel() <= _AS_IT_LIES or products_are_faster()

    def _may(self, given: torch.Tensor) -> bool:
        between = (
            self.linear._forward_hooks, self.linear._backward_hooks,
            self.activation._forward_pre_hooks, self.activation._backward_pre_hooks,
        )  # fmt: skip
        if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or any(between):
            return False
        return given.dtype == torch.float32 and given.numel() >= self.fewest * given.shape[-1]
