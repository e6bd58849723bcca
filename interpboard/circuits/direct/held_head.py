"""A masked model's head as an affine map of the stream: its norm and its activation held as in the run.

Between the last layer and the logits BERT and its kin have a linear map, an activation and a norm. An
activation gives each number some multiple of it (GELU(x) = x · Φ(x)); held at what the multiples were, and
the norm at its statistics, the head is affine and a logit is a sum again. What is held is kept from the run,
and used once more on a stream of zeros: the constant is found apart from the gradient, so that a head which
does something else as well is found out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from interpboard.circuits.direct.held import Map, Pulled, StatisticsHeld
from interpboard.errors import Unsupported
from interpboard.models.anatomy import Anatomy
from interpboard.models.head_activations import HeadActivations, activation_modules
from interpboard.models.proof.rounding import TOLERANCE
from interpboard.runs.metrics import at_least_float32

# Of a GELU that is written out, x · ½ · (1 + erf(x / √2)), what x is multiplied by (esm).
_WITHIN_GELU = frozenset({torch.erf, torch.Tensor.erf})


class _Kept:
    """What was held, in order; once ``again``, the same is given for whatever comes."""

    def __init__(self) -> None:
        self.values: list[torch.Tensor] = []
        self.at: int | None = None

    def again(self) -> None:
        self.at = 0

    def hold(self, value: torch.Tensor) -> torch.Tensor:
        if self.at is None:
            self.values.append(value.detach())
            return self.values[-1]
        self.at += 1
        return self.values[self.at - 1]

    def multiple(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """``y`` as ``x`` times a constant that is held; of an ``x`` of 0 the constant is 0."""
        ratio = torch.where(x == 0, torch.zeros_like(y), y / torch.where(x == 0, 1, x))
        return x * self.hold(ratio)


def pull_back_head(anatomy: Anatomy, explained: Map, normed: torch.Tensor) -> Pulled:
    """Gradient [d_model] and constant of ``explained`` [1, 1], which runs the head, at ``normed`` [d_model].

    Raises ``Unsupported`` where the head does not become affine so.
    """
    kept = _Kept()
    with torch.enable_grad(), _held(anatomy, kept):
        leaf = normed.detach()[None].clone().requires_grad_()
        value = at_least_float32(explained(leaf)).sum()
        (gradient,) = torch.autograd.grad(value, leaf)
        kept.again()
        with torch.no_grad():
            constant = float(at_least_float32(explained(torch.zeros_like(leaf))).sum())
    terms = gradient[0].double() * normed.double()
    scale = max(1.0, float(terms.abs().sum()))
    missing = float(terms.sum()) + constant - float(value.detach())
    if not abs(missing) <= TOLERANCE[normed.dtype] * scale:
        raise Unsupported(
            "The head of this model does not become affine with its norm and activation held."
        )
    return Pulled(gradient[0], constant)


@contextmanager
def _held(anatomy: Anatomy, kept: _Kept) -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(StatisticsHeld(kept.hold, _WITHIN_GELU))
        stack.enter_context(HeadActivations(kept.multiple))
        for module in activation_modules(anatomy):
            hook = partial(_as_multiple, kept)
            stack.callback(module.register_forward_hook(hook).remove)
        yield


def _as_multiple(
    kept: _Kept, _module: nn.Module, args: tuple[Any, ...], output: torch.Tensor
) -> torch.Tensor:
    return kept.multiple(args[0], output)
