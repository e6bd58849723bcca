"""Proof of ``models.fused_gelu``: a layer with both in one gives what it gives without, and so does the
activation; each time they were computed so."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import torch
from torch import nn

from interpboard.models.anatomy import Anatomy
from interpboard.models.calls import LayerCall
from interpboard.models.faster_parts import is_plain_map, is_tanh_gelu, product
from interpboard.models.fused_gelu import FusedNames, fused, gelu_in_place
from interpboard.models.module_hooks import on_input, on_output
from interpboard.models.proof.rounding import same_within_rounding
from interpboard.models.proof.shortcuts import MISFIT

# Where a GELU bends, and where its cube all but leaves float32.
_BEND, _FAR = 12.0, (1e3, 1e6, 1e12)
_CLOSE = 2e-6


def fused_gelu_names(
    anatomy: Anatomy, calls: Sequence[LayerCall], kinds: Sequence[int], proved: Sequence[int]
) -> tuple[FusedNames, ...]:
    """By layer, what of it may be computed in one: what holds in all layers ``proved`` of its kind."""
    try:
        if not _kernel_agrees():
            return ()
    except MISFIT:  # a build of torch without it
        return ()
    found = {layer: _proved(calls[layer]) for layer in proved}
    by_kind: dict[int, FusedNames] = {}
    for kind in set(kinds):
        names = {found[layer] for layer in proved if kinds[layer] == kind}
        by_kind[kind] = names.pop() if len(names) == 1 else None
    by_layer = tuple(by_kind[kind] for kind in kinds)
    return by_layer if any(by_layer) else ()


def _kernel_agrees() -> bool:
    near = torch.linspace(-_BEND, _BEND, 4001)
    far = torch.tensor([sign * size for size in _FAR for sign in (1, -1)])
    given = torch.cat([near, far])[:, None]
    weight, bias = torch.tensor([[1.0], [0.5]]), torch.tensor([0.0, 0.25])
    own = nn.functional.gelu(given * weight.T + bias, approximate="tanh")
    in_place = gelu_in_place(given * weight.T, bias)
    return all(
        torch.allclose(found, own, rtol=_CLOSE, atol=_CLOSE)
        for found in (product(given, weight, bias, gelu=True), in_place)
    )


def _proved(call: LayerCall) -> FusedNames:
    try:
        names = _followed(call)
        if names is None:
            return None
        linear, activation = (call.layer.get_submodule(name) for name in names)
        given, own, output = _run(call, linear, activation)
        with fused(linear, activation, fewest=1) as both:
            _, found, changed = _run(call, linear, activation)
            at_once = activation(linear(given))
    except MISFIT:
        return None
    if both.took != 2:
        return None
    pairs = (found, own), (at_once, own), (changed, output)
    return names if all(same_within_rounding(*pair) for pair in pairs) else None


def _run(
    call: LayerCall, linear: nn.Module, activation: nn.Module
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What ``linear`` was given, what ``activation`` gave, and the layer's output."""
    seen: list[torch.Tensor] = []
    with on_input(linear, seen.append), on_output(activation, seen.append):
        output = call.replay(call.hidden[:])
    given, activated = seen
    return given, activated, output


def _followed(call: LayerCall) -> FusedNames:
    """The names of the layer's one activation and of the map that gave the very tensor that it was given."""
    named = [
        (name, part) for name, part in call.layer.named_modules() if "forward" not in vars(part)
    ]
    activations = [(name, part) for name, part in named if is_tanh_gelu(part)]
    if len(activations) != 1:
        return None
    name, activation = activations[0]
    made: list[tuple[str, torch.Tensor]] = []
    given: list[torch.Tensor] = []
    with ExitStack() as stack:
        for linear, part in named:
            if is_plain_map(part):
                stack.enter_context(on_output(part, partial(_keep, made, linear)))
        stack.enter_context(on_input(activation, given.append))
        call.replay(call.hidden[:])
    followed = [linear for linear, value in made if len(given) == 1 and value is given[0]]
    return (followed[0], name) if len(followed) == 1 else None


def _keep(made: list[tuple[str, torch.Tensor]], name: str, value: torch.Tensor) -> None:
    made.append((name, value))
