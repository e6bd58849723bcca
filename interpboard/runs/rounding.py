"""Do two numbers differ by more than rounding? Nothing is divided by a difference that does not.

A share of such a difference looks like any other number and says nothing: both runs are the same, and what
is left is the order in which sums were taken.
"""

from __future__ import annotations

import numpy as np
import torch

# Relative errors that a forward pass was seen to leave between two runs that are the same, with room.
_ROUNDING = {
    torch.float64: 1e-12,
    torch.float32: 1e-6,
    torch.float16: 2 * torch.finfo(torch.float16).eps,
    torch.bfloat16: 2 * torch.finfo(torch.bfloat16).eps,
}
SAME_RUNS = "The metric is the same in both runs, up to rounding: there is nothing to recover."


def rounding(dtype: torch.dtype, size: float) -> float:
    """The largest difference that rounding explains in numbers of that ``size`` made in ``dtype``."""
    return _ROUNDING.get(dtype, _ROUNDING[torch.bfloat16]) * size


def is_fine(dtype: torch.dtype) -> bool:
    """Is a step of ``dtype`` far smaller than effects? Of 16 bits it is as large as many of them, and the
    mean over prompts still tells those from nothing."""
    return dtype in (torch.float32, torch.float64)


def difference_beyond_rounding(
    first: float, second: float, dtype: torch.dtype, size: float
) -> float:
    """``first − second``, NaN where it is no more than rounding."""
    apart = first - second
    return apart if abs(apart) > rounding(dtype, size) else float("nan")


def unless_rounding(
    values: np.ndarray, unchanged: np.ndarray | float, dtype: torch.dtype, size: float
) -> np.ndarray:
    """``values`` of edited runs, with ``unchanged`` in place of those that differ from it by no more than
    rounding, so that an effect of nothing is 0. NaN stays, and so does all in 16 bits (``is_fine``)."""
    if not is_fine(dtype):
        return values
    return np.where(np.abs(values - unchanged) <= rounding(dtype, size), unchanged, values)
