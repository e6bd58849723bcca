"""The activation inside a masked model's head: a module there, or a function (roberta, electra).

A function cannot be hooked, so it is heard while a forward runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from interpboard.models.anatomy import Anatomy

ACTIVATION_HOMES = ("transformers.activations", "torch.nn.modules.activation")
_FUNCTIONS = (functional.gelu, functional.relu, functional.silu, torch.relu, torch.tanh)


class HeadActivations(TorchFunctionMode):
    """While open, ``rule(x, y)`` gives what takes the place of y, an activation of x."""

    def __init__(self, rule: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.rule = rule

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        return self.rule(args[0], output) if function in _FUNCTIONS else output


def activation_modules(anatomy: Anatomy) -> Iterator[nn.Module]:
    """Those of the model's head."""
    body = {id(module) for module in anatomy.base.modules()}
    for module in anatomy.model.modules():
        if id(module) not in body and type(module).__module__ in ACTIVATION_HOMES:
            yield module
