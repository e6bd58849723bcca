"""Did an operation fail for want of memory? Each kind of device says it in its own way."""

from __future__ import annotations

import torch

# CPU and MPS raise a plain RuntimeError.
_SAID = ("can't allocate memory", "out of memory")


def out_of_memory(error: RuntimeError) -> bool:
    """Whether ``error`` means that memory ran out, on whatever device."""
    return isinstance(error, torch.OutOfMemoryError) or any(said in str(error) for said in _SAID)
