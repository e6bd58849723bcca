"""Proof of ``models.faster_parts``: each kernel against the module itself, value and gradient."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from interpboard.models.anatomy import Anatomy
from interpboard.models.faster_parts import Forward, faster_forwards
from interpboard.models.packed import in_width
from interpboard.models.proof.rounding import same_within_rounding
from interpboard.models.proof.shortcuts import MISFIT

_ROWS = 3
# Where a GELU bends, and where its cube all but leaves float32.
_BEND, _FAR = 12.0, (1e3, 1e6, 1e12)
_CLOSE = 2e-6


def faster_parts_agree(anatomy: Anatomy, layers: Sequence[int]) -> bool:
    """Whether in ``layers`` every module with a faster forward gives by it what it gives by its own.

    False where there is none.
    """
    return _all_agree(pair for layer in layers for pair in faster_forwards(anatomy.layers[layer]))


def faster_head_agrees(anatomy: Anatomy) -> bool:
    """The same of the unembedding."""
    return _all_agree(faster_forwards(anatomy.unembedding))


def _all_agree(pairs: Iterable[tuple[nn.Module, Forward]]) -> bool:
    some = list(pairs)
    try:
        return bool(some) and all(_agrees(module, forward) for module, forward in some)
    except MISFIT:  # a build of torch without these kernels
        return False


def _agrees(module: nn.Module, forward: Forward) -> bool:
    given = _probe(module)
    pairs = zip(_with_gradient(module.forward, given), _with_gradient(forward, given), strict=True)
    if module._parameters:
        return all(same_within_rounding(found, own) for own, found in pairs)
    return all(torch.allclose(found, own, rtol=_CLOSE, atol=_CLOSE) for own, found in pairs)


def _probe(module: nn.Module) -> torch.Tensor:
    if module._parameters:
        generator = torch.Generator().manual_seed(5)
        return torch.randn(_ROWS, in_width(module), generator=generator)
    far = torch.tensor([sign * size for size in _FAR for sign in (1, -1)])
    return torch.cat([torch.linspace(-_BEND, _BEND, 4001), far])[None]


def _with_gradient(forward: Forward, given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What ``forward`` gives, and the gradient at ``given`` of its sum with a weight each."""
    with torch.enable_grad():
        leaf = given.clone().requires_grad_()
        out = forward(leaf)
        flow = torch.linspace(0.5, 1.5, out.shape[-1]).expand_as(out)
        (gradient,) = torch.autograd.grad(out, leaf, flow)
    return out.detach(), gradient
