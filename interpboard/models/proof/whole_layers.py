"""Proof of ``models.whole_layers``: value and gradient of a layer in one piece against the layer itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from interpboard.models.anatomy import Anatomy
from interpboard.models.calls import LayerCall
from interpboard.models.frozen import frozen
from interpboard.models.proof.rounding import Noise, differs, same_within_rounding
from interpboard.models.proof.shortcuts import MISFIT
from interpboard.models.whole_layers import (
    gelu_and_slope,
    in_one_piece,
    in_one_piece_at,
    may_be_whole,
)

# Where a GELU bends, and where its cube all but leaves float32.
_BEND, _FAR = 12.0, (1e3, 1e6, 1e12)
_CLOSE = 4e-6
_POSITION = 5


def whole_layers_agree(
    anatomy: Anatomy, calls: Sequence[LayerCall], layers: Sequence[int], noise: Noise
) -> bool:
    """Whether each of ``layers`` in one piece gives what it gives by its modules, and the gradient; and the
    model's last so at one position. On the recorded row beside one that is another."""
    with frozen(anatomy.model):
        if not all(may_be_whole(anatomy.layers[layer]) for layer in layers):
            return False
        try:
            return _slopes_agree() and all(
                _agrees(calls[layer], layer == anatomy.n_layers - 1, noise) for layer in layers
            )
        except MISFIT:
            return False


def _slopes_agree() -> bool:
    """The layers' own streams need not reach where a GELU bends."""
    far = torch.tensor([sign * size for size in _FAR for sign in (1, -1)])
    given = torch.cat([torch.linspace(-_BEND, _BEND, 4001), far])[:, None]
    bias = torch.tensor([0.25])
    with torch.enable_grad():
        leaf = (given + bias).requires_grad_()
        own = nn.functional.gelu(leaf, approximate="tanh")
        (known,) = torch.autograd.grad(own.sum(), leaf)
    values = given.clone()
    slope = gelu_and_slope(values, bias)
    return all(
        torch.allclose(*pair, rtol=_CLOSE, atol=_CLOSE)
        for pair in ((values, own.detach()), (slope, known))
    )


def _agrees(call: LayerCall, is_last: bool, noise: Noise) -> bool:
    hidden = call.hidden[:].repeat(2, 1, 1)
    hidden[1] = hidden[0].flip(0)
    generator = torch.Generator().manual_seed(6)
    flow = torch.randn(hidden.shape, generator=generator).to(hidden)
    with torch.enable_grad():
        start = hidden.clone().requires_grad_()
        own = call.replay(start)
        found = in_one_piece(call.layer, start, _unheard)
        same = _same(found, own, start, flow, noise)
        if not is_last:
            return same
        at = in_one_piece_at(call.layer, start, _POSITION, _unheard)[:, _POSITION]
        return same and _same(at, own[:, _POSITION], start, flow[:, _POSITION], noise)


def _same(
    found: torch.Tensor,
    own: torch.Tensor,
    start: torch.Tensor,
    flow: torch.Tensor,
    noise: Noise,
) -> bool:
    """Values alike, and the gradients at ``start`` of both, weighted by ``flow``."""
    pairs = [(found.detach(), own.detach())]
    pairs += zip(
        *(torch.autograd.grad(each, start, flow, retain_graph=True) for each in (found, own)),
        strict=True,
    )
    return all(
        same_within_rounding(one, other, noise) and differs(other[:1], other[1:])
        for one, other in pairs
    )


def _unheard(_value: torch.Tensor) -> None:
    """Nobody listens to a proof."""
