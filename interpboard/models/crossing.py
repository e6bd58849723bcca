"""Between the host and a device: what crosses, and who waits for it. One place for both directions.

A copy from ordinary memory of the host makes it wait for all that the device was given before. From
page-locked memory the device fetches by itself, in the order of its stream, and the host goes on: torch lends
no such block again before the copies out of it are done. Back, all that a step found comes by one wait, and
nobody is handed a number that has not arrived. What is large crosses as it always did: torch keeps its
page-locked memory as long as the process lives. Only CUDA has such copies; elsewhere ``to`` is what it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

MOST_PINNED = 1 << 26
"""Bytes of a tensor that goes through page-locked memory, at most: 64 MiB."""
FEW = 64
HOST_DEVICE = torch.device("cpu")


def to_device(value: torch.Tensor, device: torch.device) -> torch.Tensor:
    """``value`` on ``device``; the host does not wait for it where it comes from the host."""
    if value.device.type == "cpu" and device.type == "cuda" and value.nbytes <= MOST_PINNED:
        return value.pin_memory().to(device, non_blocking=True)
    return value.to(device)


def back(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """``values`` on the host. Those of CUDA devices are all asked for, then waited for once a device."""
    asked = [_asked(value) for value in values]
    for device in {value.device for value in values if value.device.type == "cuda"}:
        torch.cuda.current_stream(device).synchronize()
    # Ordinary memory is handed out: results are kept, and page-locked memory is scarce.
    return tuple(
        one.clone() if _is_awaited(value) else one for value, one in zip(values, asked, strict=True)
    )


def _is_awaited(value: torch.Tensor) -> bool:
    return value.device.type == "cuda" and value.nbytes <= MOST_PINNED


def _asked(value: torch.Tensor) -> torch.Tensor:
    if not _is_awaited(value):
        return value.to(HOST_DEVICE)
    home = torch.empty(value.shape, dtype=value.dtype, pin_memory=True)
    return home.copy_(value, non_blocking=True)


def at_indices(value: torch.Tensor, indices: Sequence[int]) -> torch.Tensor:
    """``value`` [pos, …] at ``indices``. Those that follow each other are a view, and of a few others each
    is: no index is sent."""
    begin = indices[0] if indices else 0
    end = begin + len(indices)
    # A slice beyond the end would be short without a word, where an index is refused.
    if 0 <= begin <= end <= len(value) and list(indices) == list(range(begin, end)):
        return value[begin:end]
    if value.device.type != "cpu" and len(indices) <= FEW:
        return torch.stack([value[index] for index in indices])
    return value[to_device(torch.tensor(list(indices)), value.device)]
