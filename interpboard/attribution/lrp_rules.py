"""Rules of relevance propagation, as changes to what autograd sees and not to what the model computes.

Where every step of a model is linear in its input, gradient times input is its relevance and nothing is
lost. So the steps that are not are made so for the backward pass alone: the forward values stay the
model's own, bit for bit or to the last rounding.

| step | rule | how |
|---|---|---|
| norm | its statistics are constants | (x − mean) · (y / (x − mean)) with the ratio constant |
| activation | identity: all relevance goes on to its input | x · (y / x), the ratio constant |
| gate · up | half to each factor | half of the gradient passes |
| attention | pattern · value and query · key: half to each factor | a half to v, a quarter to q and k |

Hooks on modules, and the attention sites, do it for every family whose parts are modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from interpboard.errors import Unsupported
from interpboard.models.anatomy import Anatomy
from interpboard.models.division import held
from interpboard.models.head_activations import (
    ACTIVATION_HOMES,
    HeadActivations,
    activation_modules,
)
from interpboard.models.language_model import LanguageModel
from interpboard.models.module_hooks import on_input
from interpboard.models.sites import at_site
from interpboard.registry.layer_names import has_mlp

_ROOT_MEAN_SQUARE = ("T5LayerNorm", "SwitchTransformersLayerNorm")


def let_pass(value: torch.Tensor, share: float) -> torch.Tensor:
    """``value``, of whose gradient only ``share`` passes."""
    return share * value + (1 - share) * value.detach()


def as_multiple(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """``y``, as ``x`` times a constant: all of its relevance is that of ``x``."""
    y = y.detach()
    ratio = torch.where(x == 0, torch.zeros_like(y), y / torch.where(x == 0, 1, x.detach()))
    return x * ratio


def frozen_norm(module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """``y``, the norm of ``x``, with variance (not mean) as constants."""
    bias = held(module, "bias")
    centred = x - x.mean(-1, keepdim=True) if _takes_mean_away(module) else x
    if bias is None:
        return as_multiple(centred, y)
    return as_multiple(centred, y - bias) + bias


def _takes_mean_away(module: nn.Module) -> bool:
    """Whether a norm centres what it is given; T5's has the name of one that does, and does not."""
    name = type(module).__name__
    return "LayerNorm" in name and not name.endswith(_ROOT_MEAN_SQUARE)


@contextmanager
def relevance_rules(lm: LanguageModel, attention: str) -> Iterator[None]:
    """While open, gradient times input is relevance. Raises ``Unsupported`` where a rule cannot hold.

    ``attention``: ``softmax``, or ``frozen``, where the pattern is a constant and all goes by the values.
    """
    anatomy = lm.anatomy
    _require_parts(lm)
    with ExitStack() as stack:
        if not lm.verified.causal and anatomy.strips is None:
            _head_rules(stack, anatomy)
        for module in anatomy.model.modules():  # an encoder's head has a norm of its own
            if "norm" in type(module).__name__.lower() and hasattr(module, "weight"):
                stack.enter_context(_on_output(module, partial(frozen_norm, module)))
        for layer in range(anatomy.n_layers):
            if has_mlp(anatomy.layer_names[layer]):
                _mlp_rules(stack, anatomy, layer)
            for site, share in (("q", 0.25), ("k", 0.25), ("v", 0.5)):
                change: Callable[[torch.Tensor], torch.Tensor] = partial(let_pass, share=share)
                if attention == "frozen":
                    if site == "v":
                        continue
                    change = torch.Tensor.detach
                stack.enter_context(at_site(anatomy, site, layer, change))
        yield


def _require_parts(lm: LanguageModel) -> None:
    family = lm.info.family
    for site in ("q", "k", "v", "neuron"):
        if site not in lm.verified.sites:
            raise Unsupported(
                f"lrp has no rule for {family}: edits at {site} are not available on this model.",
                "Use integrated_gradients.",
            )
    for layer in range(lm.anatomy.n_layers):
        if has_mlp(lm.anatomy.layer_names[layer]) and len(_activations(lm.anatomy, layer)) != 1:
            raise Unsupported(
                f"lrp has no rule for {family}: layer {layer} has no activation that can be told apart.",
                "Use integrated_gradients.",
            )


def _activations(anatomy: Anatomy, layer: int) -> list[nn.Module]:
    activations = {
        id(m): m for m in anatomy.layers[layer].modules() if type(m).__module__ in ACTIVATION_HOMES
    }
    return list(activations.values())


def _mlp_rules(stack: ExitStack, anatomy: Anatomy, layer: int) -> None:
    """The activation's rule, and the gate's where what follows the activation is not its output."""
    activated: list[torch.Tensor] = []

    def activation(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        activated.append(as_multiple(x, y))
        return activated[-1]

    def gate(neurons: torch.Tensor) -> torch.Tensor | None:
        before = activated.pop()
        if before.numel() == neurons.numel() and torch.equal(
            before.reshape(neurons.shape), neurons
        ):
            return None
        return let_pass(neurons, 0.5)

    stack.enter_context(_on_output(_activations(anatomy, layer)[0], activation))
    down = anatomy.down_proj[layer]
    if anatomy.strips is not None and down is not None:  # the site is over both strips, this is not
        stack.enter_context(on_input(down, gate))
        return
    stack.enter_context(at_site(anatomy, "neuron", layer, gate))


def _head_rules(stack: ExitStack, anatomy: Anatomy) -> None:
    """The activation's rule in a masked model's head, be it a module there or a function."""
    stack.enter_context(HeadActivations(as_multiple))
    for module in activation_modules(anatomy):
        stack.enter_context(_on_output(module, as_multiple))


@contextmanager
def _on_output(
    module: nn.Module, rule: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> Iterator[None]:
    def hook(_module: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        return rule(args[0], output)

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
