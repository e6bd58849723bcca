"""What one run wrote, kept for those that it is the reference of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch


@dataclass(frozen=True)
class Activations:
    """What every sender writes in one run, and what the output reads. Tuples by layer.

    ``embed``, ``mlp``, ``output`` [batch, pos, d_model]; ``z`` [batch, pos, head, d_head]. A mean has one row
    and one position. What the other receivers read is the sum of what was written.
    """

    embed: torch.Tensor
    z: tuple[torch.Tensor, ...]
    mlp: tuple[torch.Tensor, ...]
    output: torch.Tensor

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Self:
        """``change`` of every tensor."""
        new: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            new[field.name] = (
                tuple(map(change, value)) if isinstance(value, tuple) else change(value)
            )
        return replace(self, **new)

    def plus(self, other: Activations) -> Self:
        """The sum, tensor by tensor."""
        left = iter(other.tensors)
        return self.map(lambda tensor: tensor + next(left))

    @property
    def bytes(self) -> int:
        """How much memory they take."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors)

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All tensors, in the order in which ``map`` takes them."""
        effects: list[torch.Tensor] = []
        for field in fields(self):
            value = getattr(self, field.name)
            effects += value if isinstance(value, tuple) else (value,)
        return tuple(effects)
