"""Did an operation fail for want of memory? Each kind of device says it in its own way."""

from __future__ import annotations

import torch

from interpboard.errors import OutOfMemory

# CPU and MPS raise a plain RuntimeError.
_SAID = ("can't allocate memory", "out of memory")


def out_of_memory(error: RuntimeError) -> bool:
    """Whether ``error`` means that memory ran out, on whatever device."""
    return isinstance(error, torch.OutOfMemoryError) or any(said in str(error) for said in _SAID)


def check_smaller_may_fit(error: RuntimeError, rows: int) -> None:
    """Return where ``rows`` of the prompt ran out of memory and fewer may do.

    Raises ``error`` itself if it is another one, ``OutOfMemory`` if one row alone did not fit.
    """
    if not out_of_memory(error):
        raise error
    if rows == 1:
        raise OutOfMemory(
            "One forward pass of the prompt does not fit in memory.", "Shorten the prompt."
        ) from error
