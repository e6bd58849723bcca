"""The weight of a linear map that is nothing more than that.

A module may show a ``weight`` and do more than multiply by it: an adapter adds to it (and calls itself
``Linear``, too), a packed format unpacks it. Whoever reads weights asks here.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from transformers.pytorch_utils import Conv1D

_PLAIN = (nn.Linear, NonDynamicallyQuantizableLinear, Conv1D)


def plain_linear(module: nn.Module) -> tuple[torch.Tensor, torch.Tensor | None] | None:
    """Weight [out, in] and bias [out] of ``module``; None if it does more, or its weight is packed."""
    weight = getattr(module, "weight", None)
    if type(module) not in _PLAIN or not isinstance(weight, torch.Tensor):
        return None
    if not weight.is_floating_point() or weight.dim() != 2:
        return None
    bias = getattr(module, "bias", None)
    plain = weight.detach().T if isinstance(module, Conv1D) else weight.detach()
    return plain, None if bias is None else bias.detach()
