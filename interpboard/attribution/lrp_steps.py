"""The steps that rules of relevance propagation are made of: what each lets pass, and where it is hooked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from interpboard.models.division import held
from interpboard.models.head_activations import ACTIVATION_HOMES

_ROOT_MEAN_SQUARE = ("T5LayerNorm", "SwitchTransformersLayerNorm")


def let_pass(value: torch.Tensor, share: float) -> torch.Tensor:
    """``value``, of whose gradient only ``share`` passes."""
    return share * value + (1 - share) * value.detach()


def as_multiple(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """``y``, as ``x`` times a constant: all of its relevance is that of ``x``."""
    y = y.detach()
    ratio = torch.where(x == 0, torch.zeros_like(y), y / torch.where(x == 0, 1, x.detach()))
    return x * ratio


def frozen_norm(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """``y``, the norm of ``x``, with variance (not mean) as constants."""
    bias = held(module, "bias")
    centred = x - x.mean(-1, keepdim=True) if _takes_mean_away(module) else x
    if bias is None:
        return as_multiple(centred, y)
    return as_multiple(centred, y - bias) + bias


def _takes_mean_away(module: nn.Module) -> bool:
    """Whether a norm centres what it is given; T5's has the name of one that does, and does not."""
    name = type(module).__name__
    return "LayerNorm" in name and not name.endswith(_ROOT_MEAN_SQUARE)


def activations_in(module: nn.Module) -> list[nn.Module]:
    """The activation functions that are modules in ``module``."""
    return list(
        {id(m): m for m in module.modules() if type(m).__module__ in ACTIVATION_HOMES}.values()
    )


def mlp_rules(
    stack: ExitStack,
    activation: nn.Module,
    at_neurons: Callable[
        [Callable[[torch.Tensor], torch.Tensor | None]], AbstractContextManager[None]
    ],
) -> None:
    """The activation's rule, and the gate's where what follows the activation is not its output.

    ``at_neurons`` opens a change where the MLP's last map is given its input.
    """
    activated: list[torch.Tensor] = []

    def identity(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        activated.append(as_multiple(x, y))
        return activated[-1]

    def gate(neurons: torch.Tensor) -> torch.Tensor | None:
        before = activated.pop()
        if before.numel() == neurons.numel() and torch.equal(
            before.reshape(neurons.shape), neurons
        ):
            return None
        return let_pass(neurons, 0.5)

    stack.enter_context(ruled(activation, identity))
    stack.enter_context(at_neurons(gate))


@contextmanager
def ruled(
    module: nn.Module, rule: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> Iterator[None]:
    """While open, ``rule(x, y)`` takes the place of y, what ``module`` gives for x."""

    def hook(_module: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        return rule(args[0], output)

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
