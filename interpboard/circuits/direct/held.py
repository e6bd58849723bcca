"""A norm with its statistics held, so that it is an affine map of what it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from interpboard.runs.metrics import at_least_float32

_ROOTS = {
    torch.rsqrt, torch.Tensor.rsqrt, torch.sqrt, torch.Tensor.sqrt,
    torch.var, torch.Tensor.var, torch.std, torch.Tensor.std,
}  # fmt: skip
_POWERS = {torch.pow, torch.Tensor.pow, torch.Tensor.__pow__}

Map = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Pulled:
    """An affine map seen along one direction of its output: direction · map(x) = gradient · x + constant."""

    gradient: torch.Tensor
    constant: float


class StatisticsHeld(TorchFunctionMode):
    """While open, no gradient passes through a norm's scale: roots and variances are constants.

    ``hold`` gives the constant for what was computed. ``also``: further functions that give constants.
    """

    def __init__(self, hold: Map = torch.Tensor.detach, also: frozenset[Any] = frozenset()) -> None:
        super().__init__()
        self.hold, self.also = hold, also

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is functional.layer_norm:
            return _layer_norm(self.hold, *args, **kwargs)
        if function is functional.rms_norm:
            return _rms_norm(self.hold, *args, **kwargs)
        output = function(*args, **kwargs)
        constant = function in _ROOTS or function in self.also or _is_root(function, args)
        return self.hold(output) if constant else output


def _is_root(function: Any, args: tuple[Any, ...]) -> bool:
    return function in _POWERS and isinstance(args[-1], float) and abs(args[-1]) == 0.5


def _layer_norm(
    hold: Map,
    x: torch.Tensor,
    shape: Any,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> torch.Tensor:
    over = tuple(range(-len(shape), 0))
    wide = at_least_float32(x)
    centred = wide - wide.mean(over, keepdim=True)
    return _scaled(hold, centred, over, weight, bias, eps).to(x.dtype)


def _rms_norm(
    hold: Map,
    x: torch.Tensor,
    shape: Any,
    weight: torch.Tensor | None = None,
    eps: float | None = None,
) -> torch.Tensor:
    over = tuple(range(-len(shape), 0))
    small = eps if eps is not None else torch.finfo(x.dtype).eps
    return _scaled(hold, at_least_float32(x), over, weight, None, small).to(x.dtype)


def _scaled(
    hold: Map,
    x: torch.Tensor,
    over: tuple[int, ...],
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    eps: float,
) -> torch.Tensor:
    scaled = x * hold(torch.rsqrt(x.pow(2).mean(over, keepdim=True) + eps))
    scaled = scaled if weight is None else scaled * weight
    return scaled if bias is None else scaled + bias
