"""The activation inside a masked model's head, which some families (roberta, electra) call as a function.

No module can be hooked there, so the function itself is heard while a forward runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

ACTIVATIONS = (functional.gelu, functional.relu, functional.silu, torch.relu)


class HeadActivations(TorchFunctionMode):
    """While open, ``rule(x, y)`` gives what takes the place of y, an activation of x."""

    def __init__(self, rule: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.rule = rule

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        return self.rule(args[0], output) if function in ACTIVATIONS else output
