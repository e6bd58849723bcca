"""Where what a recording keeps lies: on its device up to a budget, beyond it in host memory."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import torch

from interpboard.models.crossing import to_device

HOST = "cpu"
NO_LIMIT = sys.maxsize


@dataclass(frozen=True, eq=False)
class Kept:
    """A tensor that may lie in host memory. Any part of it, ``kept[index]``, comes on its ``device``."""

    tensor: torch.Tensor
    device: torch.device

    def __getitem__(self, index: Any) -> torch.Tensor:
        there = self.tensor.device
        parts = index if isinstance(index, tuple) else (index,)
        moved = tuple(p.to(there) if isinstance(p, torch.Tensor) else p for p in parts)
        return to_device(self.tensor[moved], self.device)

    @property
    def shape(self) -> torch.Size:
        """That of the tensor."""
        return self.tensor.shape


class Keeper:
    """Keeps tensors, the first ``budget`` bytes on their device. Counts what it keeps, in bytes."""

    def __init__(self, budget: int = NO_LIMIT) -> None:
        self.budget = budget
        self.on_device = 0
        self.in_host = 0

    def keep(self, value: torch.Tensor, *, copy: bool = False) -> Kept:
        """``copy``: somebody may go on to change ``value`` in place."""
        size = value.numel() * value.element_size()
        device = value.device
        if self.on_device + size <= self.budget:
            self.on_device += size
            return Kept(value.clone() if copy else value, device)
        self.in_host += size
        return Kept(value.to(HOST, copy=copy), device)
