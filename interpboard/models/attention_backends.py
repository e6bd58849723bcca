"""Which of torch's fused attentions runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

_NOT_CUDNN = [
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]


@contextmanager
def any_shape(device: torch.device) -> Iterator[None]:
    """While open, attention on a GPU is not cuDNN's, which makes a plan for every shape that it meets first.

    A grid has many: rows join from layer to layer, and each position that is edited leaves another
    number of queries. A causal trace of GPT-2 small spent nearly all of its time on such plans.
    """
    with sdpa_kernel(_NOT_CUDNN) if device.type == "cuda" else nullcontext():
        yield
