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
    """The same of the unembedding, of which no gradient is taken by it."""
    return _all_agree(faster_forwards(anatomy.unembedding), backward=False)


def _all_agree(pairs: Iterable[tuple[nn.Module, Forward]], backward: bool = True) -> bool:
    some = list(pairs)
    try:
        return bool(some) and all(_agrees(module, forward, backward) for module, forward in some)
    except MISFIT:  # a build of torch without these kernels
        return False


def _agrees(module: nn.Module, forward: Forward, backward: bool) -> bool:
    given = _probe(module)
    own, found = (_numbers(each, given, backward) for each in (module.forward, forward))
    pairs = zip(found, own, strict=True)
    if module._parameters:
        return all(same_within_rounding(*pair) for pair in pairs)
    return all(torch.allclose(*pair, rtol=_CLOSE, atol=_CLOSE) for pair in pairs)


def _probe(module: nn.Module) -> torch.Tensor:
    if module._parameters:
        generator = torch.Generator().manual_seed(5)
        return torch.randn(_ROWS, in_width(module), generator=generator)
    far = torch.tensor([sign * size for size in _FAR for sign in (1, -1)])
    return torch.cat([torch.linspace(-_BEND, _BEND, 4001), far])[None]


def _numbers(forward: Forward, given: torch.Tensor, backward: bool) -> tuple[torch.Tensor, ...]:
    """What ``forward`` gives, and if ``backward`` the gradient at ``given`` of its sum with a weight each."""
    if not backward:
        with torch.no_grad():
            return (forward(given),)
    with torch.enable_grad():
        leaf = given.clone().requires_grad_()
        out = forward(leaf)
        flow = torch.linspace(0.5, 1.5, out.shape[-1]).expand_as(out)
        (gradient,) = torch.autograd.grad(out, leaf, flow)
    return out.detach(), gradient
