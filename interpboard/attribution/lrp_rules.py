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

Hooks on modules, and the attention sites, do it for every family whose parts are modules. Mixtures of
experts have rules of their own (``lrp_mixtures``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch

from interpboard.attribution.lrp_mixtures import keeps_relevance, mixture_rules, why_no_rule
from interpboard.attribution.lrp_steps import (
    activations_in,
    as_multiple,
    frozen_norm,
    let_pass,
    mlp_rules,
    ruled,
)
from interpboard.errors import Unsupported
from interpboard.models.anatomy import Anatomy
from interpboard.models.head_activations import HeadActivations, activation_modules
from interpboard.models.language_model import LanguageModel
from interpboard.models.mixtures import Mixture
from interpboard.models.module_hooks import on_input
from interpboard.models.one_tensor import require_one_tensor
from interpboard.models.sites import ROUTER, at_site
from interpboard.registry.layer_names import has_mlp


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
                stack.enter_context(ruled(module, partial(frozen_norm, module)))
        for layer in range(anatomy.n_layers):
            mixture = _mixture(lm, layer)
            if mixture is not None:
                mixture_rules(stack, mixture, anatomy.layers[layer])
                if not keeps_relevance(mixture, anatomy.d_model):
                    raise _no_rule(
                        lm, f"the mixture of layer {layer} loses relevance under the rules"
                    )
            elif has_mlp(anatomy.layer_names[layer]):
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
    for norm in lm.anatomy.mid_norm:
        require_one_tensor(norm, lm.anatomy.d_model)
    for layer in range(lm.anatomy.n_layers):
        mixture = _mixture(lm, layer)
        plain_mlp = mixture is None and has_mlp(lm.anatomy.layer_names[layer])
        for site in ("q", "k", "v", "neuron") if plain_mlp else ("q", "k", "v"):
            if not lm.verified.has(site, layer):
                where = f"in layer {layer}" if lm.verified.somewhere(site) else "on this model"
                raise _no_rule(lm, f"edits at {site} are not available {where}")
        if mixture is not None:
            why = why_no_rule(mixture, lm.anatomy.layers[layer])
            if why:
                raise _no_rule(lm, f"layer {layer} is a mixture of experts, and {why}")
        elif plain_mlp and len(activations_in(lm.anatomy.layers[layer])) != 1:
            raise _no_rule(lm, f"layer {layer} has no activation that can be told apart")


def _mixture(lm: LanguageModel, layer: int) -> Mixture | None:
    return lm.anatomy.mixtures[layer] if lm.verified.has(ROUTER, layer) else None


def _mlp_rules(stack: ExitStack, anatomy: Anatomy, layer: int) -> None:
    activation, down = activations_in(anatomy.layers[layer])[0], anatomy.down_proj[layer]
    if anatomy.strips is not None and down is not None:  # the site is over both strips, this is not
        mlp_rules(stack, activation, partial(on_input, down))
        return
    mlp_rules(stack, activation, partial(at_site, anatomy, "neuron", layer))


def _no_rule(lm: LanguageModel, why: str) -> Unsupported:
    return Unsupported(f"lrp has no rule for {lm.info.family}: {why}.", "Use integrated_gradients.")


def _head_rules(stack: ExitStack, anatomy: Anatomy) -> None:
    """The activation's rule in a masked model's head, be it a module there or a function."""
    stack.enter_context(HeadActivations(as_multiple))
    for module in activation_modules(anatomy):
        stack.enter_context(ruled(module, as_multiple))
