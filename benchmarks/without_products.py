"""Matrix products and attention that are not computed: their outputs are made and filled, as large as ever.

A forward pass of 4,096 tokens is all but wholly made of them, and what is held does not depend on their
numbers. Each output is filled with one row, made of the sizes alone: memory is touched as it would be, and
nothing is constant along the dimension that is read. What the kernels hold for themselves is left out, and
blocks come in another order, so that the C library's heap has other holes: gradients of 2,048 tokens were 221
MiB less than with products, those of 4,096, whose blocks go back to the system, were not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

Made = Callable[..., Any]


class WithoutProducts(TorchDispatchMode):
    """While open, products of matrices and fused attention give filled outputs of the right shapes."""

    def __init__(self, smallest: int = 1 << 22) -> None:
        super().__init__()
        self.smallest = smallest  # multiplications below which a product is computed
        self.left_out = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """``func`` itself, unless it is one of ``_INSTEAD`` and large."""
        instead = _INSTEAD.get(func.overloadpacket)
        if instead is not None:
            work, made = instead(*args, **(kwargs or {}))
            if work >= self.smallest:
                self.left_out += work
                return made()
        return func(*args, **(kwargs or {}))


def _filled(like: torch.Tensor, *shape: int) -> torch.Tensor:
    row = torch.linspace(-1.0, 1.0, shape[-1]).sin() / math.sqrt(max(1, shape[-1]))
    out = torch.empty(shape, dtype=like.dtype)
    out.copy_(row.to(like.dtype).expand(shape))
    return out


def _mm(a: torch.Tensor, b: torch.Tensor, **_: Any) -> tuple[int, Made]:
    return a.numel() * b.shape[-1], lambda: _filled(a, *a.shape[:-1], b.shape[-1])


def _addmm(_bias: torch.Tensor, a: torch.Tensor, b: torch.Tensor, **_: Any) -> tuple[int, Made]:
    return _mm(a, b)


def _pointwise(a: torch.Tensor, weight: torch.Tensor, *_: Any) -> tuple[int, Made]:
    return _mm(a, weight.t())


def _attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *_: Any, **__: Any
) -> tuple[int, Made]:
    def made() -> tuple[torch.Tensor, torch.Tensor]:
        # as the kernel lays it out: [row, query, head, …] transposed
        out = _filled(q, q.shape[0], q.shape[2], q.shape[1], v.shape[-1]).transpose(1, 2)
        return out, _filled(q, q.shape[0], q.shape[2], q.shape[1]).transpose(1, 2)

    return q.numel() * k.shape[2], made


def _attention_back(
    _flow: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *_: Any, **__: Any
) -> tuple[int, Made]:
    def made() -> tuple[torch.Tensor, ...]:
        return tuple(
            _filled(x, x.shape[0], x.shape[2], x.shape[1], x.shape[3]).transpose(1, 2)
            for x in (q, k, v)
        )

    return q.numel() * k.shape[2], made


_ATEN = torch.ops.aten
_INSTEAD: dict[Any, Callable[..., tuple[int, Made]]] = {
    _ATEN.mm: _mm,
    _ATEN.bmm: _mm,
    _ATEN.addmm: _addmm,
    _ATEN.baddbmm: _addmm,
    torch.ops.mkldnn._linear_pointwise: _pointwise,
    _ATEN._scaled_dot_product_flash_attention_for_cpu: _attention,
    _ATEN._scaled_dot_product_flash_attention_for_cpu_backward: _attention_back,
}
