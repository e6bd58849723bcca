"""Did an operation fail for want of memory? Each kind of device says it in its own way."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from interpboard.errors import OutOfMemory

# CPU and MPS raise a plain RuntimeError, and so do the libraries that compute for CUDA.
_SAID = (
    "can't allocate memory",
    "cannot allocate memory",
    "defaultcpuallocator",
    "not enough memory",
    "out of memory",
    "std::bad_alloc",
    "status_alloc_failed",
)


def out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` means that memory ran out, on whatever device."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in said for words in _SAID)


@contextmanager
def memory_named(what: str, remedy: str) -> Iterator[None]:
    """While open, memory that runs out raises ``OutOfMemory``: ``what`` does not fit, do ``remedy``."""
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not out_of_memory(error):
            raise
        raise OutOfMemory(f"{what} does not fit in memory.", remedy) from error


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
