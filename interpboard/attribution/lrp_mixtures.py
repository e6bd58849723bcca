"""Rules of relevance propagation for mixtures of experts, and their proof on the model itself.

| step | rule |
|---|---|
| router | the weights that it gives are constants, as a frozen pattern is |
| gate of what tokens share | a constant, for the same reason |
| expert with a gate | half to each factor: half of the gradient passes where tokens enter |
| expert's activation | identity, as in any MLP |
| MLP that tokens share | the rules of an MLP |

Experts are computed by kernels in which no product of gate and up can be hooked. But all that reaches it
enters with the token, so halving there is the same. That a block keeps its relevance under these rules is
seen on random streams before they are used; a block that does not is refused.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import torch
from torch import nn

from interpboard.attribution.lrp_steps import (
    activations_in,
    as_multiple,
    let_pass,
    mlp_rules,
    ruled,
)
from interpboard.models.layer_parts import down_projection
from interpboard.models.mixtures import Mixture, at_router
from interpboard.models.module_hooks import on_input, on_output
from interpboard.models.packed import is_linear, out_width
from interpboard.models.proof.shortcuts import MISFIT

_TOKENS = 6
_KEPT = {torch.float64: 1e-5, torch.float32: 2e-3}
_KEPT_IN_HALF = 0.05


def why_no_rule(mixture: Mixture, layer: nn.Module) -> str:
    """What of the mixture of ``layer``, and beside it, has no rule; empty where all has."""
    if len(activations_in(mixture.experts)) != 1:
        return "what activates its experts is no module"
    for activation, owners in _shared(mixture, layer):
        if len(owners) != 1 or down_projection(owners[0]) is None:
            return f"its {type(activation).__name__} belongs to no MLP that tokens share"
    return ""


def mixture_rules(stack: ExitStack, mixture: Mixture, layer: nn.Module) -> None:
    """Open the rules of the mixture of ``layer``, of which ``why_no_rule`` says nothing."""
    stack.enter_context(at_router(mixture, torch.Tensor.detach))
    if hasattr(mixture.experts, "gate_up_proj"):
        stack.enter_context(on_input(mixture.experts, partial(let_pass, share=0.5)))
    stack.enter_context(ruled(activations_in(mixture.experts)[0], as_multiple))
    for child in mixture.block.children():
        if is_linear(child) and out_width(child) == 1:  # how much of the shared MLP a token gets
            stack.enter_context(on_output(child, torch.Tensor.detach))
    for activation, owners in _shared(mixture, layer):
        down = down_projection(owners[0])
        assert down is not None
        mlp_rules(stack, activation, partial(on_input, down))


def keeps_relevance(mixture: Mixture, width: int) -> bool:
    """Whether, under the rules that are open, the relevance of what the block is given is that of what it
    gives, token by token, on random streams of ``width`` numbers."""
    generator = torch.Generator().manual_seed(7)
    weight = next(p for p in mixture.experts.parameters() if p.is_floating_point())
    drawn = torch.randn((1, _TOKENS, width), generator=generator, dtype=torch.float64)
    try:
        with torch.enable_grad():
            into = drawn.to(weight).requires_grad_()
            out = mixture.block(into)
            out = out[0] if isinstance(out, (tuple, list)) else out
            above = torch.randn(out.shape, generator=generator, dtype=torch.float64).to(out)
            (slope,) = torch.autograd.grad((out * above).sum(), into)
    except MISFIT:
        return False
    given = (out.detach().double() * above.double()).reshape(_TOKENS, -1).sum(-1)
    kept = (slope.double() * into.detach().double())[0].sum(-1)
    allowed = _KEPT.get(weight.dtype, _KEPT_IN_HALF) * given.abs().max()
    return bool(((kept - given).abs() <= allowed).all())


def _shared(mixture: Mixture, layer: nn.Module) -> list[tuple[nn.Module, list[nn.Module]]]:
    """The activations of ``layer`` outside its experts, each with the modules that it is a part of."""
    inside = {id(module) for module in mixture.experts.modules()}
    outside = [m for m in activations_in(layer) if id(m) not in inside]
    return [
        (one, [m for m in layer.modules() if any(c is one for c in m.children())])
        for one in outside
    ]
