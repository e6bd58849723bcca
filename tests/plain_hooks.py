"""The oracle: one forward pass of the unmodified model with plain hooks, everything written out by hand.

What is done at a site is a function of its activation [1, pos, …], heads in their own dimension.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch

from interpboard.models.attention_sites import ATTENTION_SITES
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from tests.plain_own_attention import in_plain_own_attention

Act = Callable[[torch.Tensor], torch.Tensor]
Done = tuple[str, int, Act]


def plain_metric(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, done: Sequence[Done]
) -> float:
    """The metric of a forward with each of ``done``: (site, layer, act)."""
    return float(metric.of(plain_logits(lm, prompt, done)[:, metric.info.position])[0])


@torch.no_grad()
def plain_logits(lm: LanguageModel, prompt: PromptInfo, done: Sequence[Done]) -> torch.Tensor:
    """[1, pos, vocabulary] of a forward with each of ``done``: (site, layer, act)."""
    anatomy, ids = lm.anatomy, input_ids(lm, prompt)
    shape = (1, ids.shape[1])
    handles: list[Any] = []
    inside: list[Done] = []
    for site, index, act in done:
        layer = anatomy.layers[index]
        if site in ATTENTION_SITES:
            inside.append((site, index, act))
            continue
        if site == "resid_mid":
            handles += _between(lm, index, act)
            continue
        module, is_input, inner = {
            "embed": (anatomy.embedding, False, ()),
            "resid_pre": (layer, True, ()),
            "resid_post": (layer, False, ()),
            "z": (anatomy.out_proj[index], True, (anatomy.n_heads,)),
            "attn_out": (anatomy.attn_out[index], False, ()),
            "mlp_out": (anatomy.mlp_out[index], False, ()),
            "neuron": (anatomy.down_proj[index], True, ()),
        }[site]

        def shaped(x: torch.Tensor, act: Act = act, inner: tuple[int, ...] = inner) -> torch.Tensor:
            return act(x.reshape(*shape, *inner, -1)).reshape(x.shape)

        handles.append(_on_module(module, is_input, shaped))
    home, config = sys.modules[type(lm.model).__module__], lm.model.config
    own = getattr(config, "_attn_implementation", None)
    eager = getattr(home, "eager_attention_forward", None)
    try:
        if inside:
            config._attn_implementation = "eager"
        if inside and eager is not None:
            home.eager_attention_forward = _around(eager, inside)
        with in_plain_own_attention(lm, inside if eager is None else []):
            logits: torch.Tensor = lm.model(input_ids=ids, use_cache=False).logits
    finally:
        for handle in handles:
            handle.remove()
        if inside:
            config._attn_implementation = own
        if inside and eager is not None:
            home.eager_attention_forward = eager
    return logits


def plain_activations(
    lm: LanguageModel,
    prompt: PromptInfo,
    sites: Sequence[str],
    layers: Sequence[int] | None = None,
) -> dict[tuple[str, int], torch.Tensor]:
    """[pos, …] of a forward, by site and layer (None: all layers)."""
    seen: dict[tuple[str, int], torch.Tensor] = {}

    def keeping(site: str, layer: int) -> Done:
        def keep(activation: torch.Tensor) -> torch.Tensor:
            seen[site, layer] = activation[0].clone()
            return activation

        return site, layer, keep

    every = [
        keeping(site, layer) for site in sites for layer in layers or range(lm.anatomy.n_layers)
    ]
    # Inside attention is another implementation of it, which may round otherwise.
    for inside in (False, True):
        plain_logits(lm, prompt, [d for d in every if (d[0] in ATTENTION_SITES) == inside])
    return seen


def _on_module(module: Any, is_input: bool, act: Act) -> Any:
    def before(_m: Any, args: Any, kwargs: Any) -> Any:
        if args:
            return (act(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": act(kwargs["hidden_states"])}

    def after(_m: Any, _args: Any, out: Any) -> Any:
        several = isinstance(out, (tuple, list))
        return type(out)((act(out[0]), *out[1:])) if several else act(out)

    if is_input:
        return module.register_forward_pre_hook(before, with_kwargs=True)
    return module.register_forward_hook(after)


def _between(lm: LanguageModel, index: int, act: Act) -> list[Any]:
    """``resid_mid``, by way of what attention adds to the layer's input."""
    scale = float(getattr(lm.model.config, "residual_multiplier", 1.0))
    seen: list[torch.Tensor] = []

    def see(x: torch.Tensor) -> torch.Tensor:
        seen.append(x)
        return x

    def add(x: torch.Tensor) -> torch.Tensor:
        middle = seen[-1] + scale * x.reshape(seen[-1].shape)
        return ((act(middle) - seen[-1]) / scale).reshape(x.shape)

    return [
        _on_module(lm.anatomy.layers[index], True, see),
        _on_module(lm.anatomy.attn_out[index], False, add),
    ]


def _around(eager: Any, inside: Sequence[Done]) -> Any:
    """The family's own eager attention with everything of ``inside`` done in it."""

    def attend(module: Any, query: Any, key: Any, value: Any, mask: Any, **kwargs: Any) -> Any:
        here = [(site, act) for site, layer, act in inside if layer == module.layer_idx]
        passing = {"q": query, "k": key, "v": value}
        for site, act in here:
            if site in passing:
                passing[site] = act(passing[site].transpose(1, 2)).transpose(1, 2)
        q, k, v = passing.values()
        output, pattern = eager(module, q, k, v, mask, **kwargs)
        for site, act in here:
            if site == "pattern":
                pattern = act(pattern.transpose(1, 2)).transpose(1, 2)
                v_all = v.repeat_interleave(q.shape[1] // v.shape[1], dim=1)
                output = torch.einsum("bhqk,bhkd->bqhd", pattern.to(v_all.dtype), v_all)
        return output, pattern

    return attend
