"""Torch's gradients, where a model has any in evaluation mode."""

from __future__ import annotations

from typing import Any

import torch

from interpboard.errors import Unsupported
from interpboard.models.checkpoint.foreign import first_line


def gradients_of(*given: Any, **options: Any) -> tuple[torch.Tensor, ...]:
    """As ``torch.autograd.grad``. Raises ``Unsupported`` for a model that gives gradients in training alone
    (reformer computes its layers anew on the way back)."""
    try:
        found: tuple[torch.Tensor, ...] = torch.autograd.grad(*given, **options)
    except AssertionError as error:
        raise Unsupported(
            f"This model gives no gradients in evaluation mode: {first_line(error)}",
            "Use occlusion or Shapley values.",
        ) from error
    return found
