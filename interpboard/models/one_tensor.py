"""Norms that can be worked with alone: a tensor in, a tensor out. Those of ibert give a scale beside it."""

from __future__ import annotations

import torch
from torch import nn

from interpboard.errors import Unsupported


@torch.no_grad()
def require_one_tensor(norm: nn.Module | None, width: int) -> None:
    """Raise ``Unsupported`` unless ``norm`` makes one tensor of a stream [1, 1, ``width``]."""
    if norm is None:
        return
    weight = next(norm.parameters(), None)
    stream = torch.zeros(1, 1, width) if weight is None else weight.new_zeros(1, 1, width)
    if not isinstance(norm.forward(stream), torch.Tensor):
        raise Unsupported(
            f"{type(norm).__name__} gives more than the stream that it norms: no part of it can be followed.",
            "Use head ablation, patching or gradients.",
        )
