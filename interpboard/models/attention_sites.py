"""Inside attention: queries, keys, values and the pattern, through transformers' attention interface.

A model whose attention module asks the interface for its attention function is given one of ours, which
hands over to the model's own and lets a change read or replace what passes. The model's own function
is wrapped, never substituted: another one can differ without any error (sink logits, soft caps).
Families that never ask (falcon, bloom, gptj, gpt_neo) are found out by the self-check: nothing fires.

| site | shape | note |
|---|---|---|
| ``q`` | [batch, pos, head, d_head] | after rotary embedding |
| ``k``, ``v`` | [batch, pos, kv_head, d_head] | one per group of heads under grouped queries |
| ``pattern`` | [batch, query, head, key] | probabilities; rows need not sum to 1 where there are sinks |
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

from interpboard.models.anatomy import Anatomy

AttentionChange = Callable[[torch.Tensor], torch.Tensor | None]

ATTENTION_SITES = ("q", "k", "v", "pattern")
_NAME = "interpboard"

# Open changes by attention module; one model computes at a time in a process.
_open: dict[nn.Module, dict[str, list[AttentionChange]]] = {}
_own_implementation: list[str] = []


@contextmanager
def in_attention(
    anatomy: Anatomy, site: str, layer: int, change: AttentionChange
) -> Iterator[None]:
    """While open, ``change`` sees the site on every forward of the layer that asks the interface."""
    owner = attention_owner(anatomy.attention[layer])
    changes = _open.setdefault(owner, {}).setdefault(site, [])
    changes.append(change)
    try:
        with _switched(anatomy):
            yield
    finally:
        changes.remove(change)
        if not any(_open[owner].values()):
            del _open[owner]


def attention_owner(attention: nn.Module) -> nn.Module:
    """The module that calls the attention function: some wrap it once more (gpt_neo)."""
    for module in attention.modules():
        if hasattr(module, "config"):
            return module
    return attention


def _attention_config(anatomy: Anatomy) -> Any:
    """That of the first layer which says how its attention is computed (layers without heads may not)."""
    for module in anatomy.attention:
        config = getattr(attention_owner(module), "config", None)
        if getattr(config, "_attn_implementation", None) is not None:
            return config
    return None


@contextmanager
def _switched(anatomy: Anatomy) -> Iterator[None]:
    config = _attention_config(anatomy)
    if config is None or config._attn_implementation == _NAME:
        yield
        return
    own: str = config._attn_implementation
    configs = {
        id(c): c
        for module in anatomy.base.modules()
        if (c := getattr(module, "config", None)) is not None
        and getattr(c, "_attn_implementation", None) == own
    }
    _own_implementation.append(own)
    for each in configs.values():  # past the setter, which would load kernels
        each._attn_implementation_internal = _NAME
    try:
        yield
    finally:
        for each in configs.values():
            each._attn_implementation_internal = own
        _own_implementation.pop()


def _attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Stands in for the attention function: query [batch, head, pos, d_head], key and value alike."""
    changes = _open.get(module, {})
    query = _changed(query.transpose(1, 2), changes.get("q", ())).transpose(1, 2)
    key = _changed(key.transpose(1, 2), changes.get("k", ())).transpose(1, 2)
    value = _changed(value.transpose(1, 2), changes.get("v", ())).transpose(1, 2)
    own = _own_function(module)(module, query, key, value, attention_mask, **kwargs)
    if not changes.get("pattern"):
        return own
    mask = _additive(attention_mask, query, key)
    pattern = _eager(module)(module, query, key, value, mask, **kwargs)[1]
    seen = pattern.transpose(1, 2)
    edited = _changed(seen, changes["pattern"])
    if edited is seen:  # only looked at
        return own[0], pattern
    edited = edited.transpose(1, 2)
    # Only the difference goes through the pattern: the eager softmax rounds to float32 in every
    # format, and rows of the batch that nobody edits must stay exactly what they were.
    difference = (edited - pattern).to(value.dtype)
    values = value.repeat_interleave(query.shape[1] // value.shape[1], dim=1)
    return own[0] + (difference @ values).transpose(1, 2), pattern


def _changed(value: torch.Tensor, changes: Any) -> torch.Tensor:
    for change in changes:
        new = change(value)
        if new is not None:
            value = new
    return value


def _own_function(module: nn.Module) -> Callable[..., Any]:
    own = _own_implementation[-1]
    if own == "eager":
        return _eager(module)
    function: Callable[..., Any] = ALL_ATTENTION_FUNCTIONS[own]
    return function


def _eager(module: nn.Module) -> Callable[..., Any]:
    home = sys.modules[type(module).__module__]
    function: Callable[..., Any] = home.eager_attention_forward
    return function


def _additive(mask: torch.Tensor | None, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """``mask`` as the eager functions want it: 0 where a key may be seen, the lowest number elsewhere."""
    lowest = torch.finfo(query.dtype).min
    if mask is None:  # plain causal, by the kernel's own flag
        n_query, n_key = query.shape[2], key.shape[2]
        seen = torch.ones(n_query, n_key, dtype=torch.bool, device=query.device)
        mask = seen.tril(n_key - n_query)[None, None]
    if mask.dtype == torch.bool:
        return torch.zeros(mask.shape, dtype=query.dtype, device=mask.device).masked_fill(
            ~mask, lowest
        )
    return mask


def _mask(*args: Any, **kwargs: Any) -> Any:
    return ALL_MASK_ATTENTION_FUNCTIONS[_own_implementation[-1]](*args, **kwargs)


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, _mask)
