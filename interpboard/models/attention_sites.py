"""Inside attention: queries, keys, values and the pattern, through transformers' attention interface.

A model whose attention module asks the interface for its attention function is given one of ours, which
hands over to the model's own and lets a change read or replace what passes. The model's own function
is wrapped, never substituted: another one can differ without any error (sink logits, soft caps).
Families that never ask (deberta, mpnet, falcon, bloom, gptj) are looked into as ``own_attention`` says.

| site | shape | note |
|---|---|---|
| ``q`` | [batch, pos, head, d_head] | after rotary embedding |
| ``k``, ``v`` | [batch, pos, kv_head, d_head] | one per group of heads under grouped queries |
| ``pattern`` | [batch, query, head, key] | probabilities; rows need not sum to 1 where there are sinks |
| ``mask`` | [batch, 1 or head, query, key] | what is added to the scores; changes the pattern |
| ``attended`` | [batch, pos, head, d_head] | what the pattern makes of the values, before anything else |

A pattern of a long prompt is large (4,096 tokens and 12 heads: 768 MiB in float32, and computing it takes
several as large). A ``QueryBlocks`` change sees it some queries at a time; no pattern is ever there whole.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

from interpboard.models.anatomy import Anatomy
from interpboard.models.own_attention import asks_interface, in_own_attention

AttentionChange = Callable[[torch.Tensor], torch.Tensor | None]
AttentionFunction = Callable[..., Any]
"""As transformers' interface calls it: of module, query, key, value, mask … output, and pattern or None."""

ATTENTION_SITES = ("q", "k", "v", "pattern", "attended")
PATTERN_BLOCK = 1 << 22
"""Numbers of a pattern that are there at once, where it is seen a block of queries at a time."""
_NAME = "interpboard"


@dataclass(frozen=True, eq=False)
class QueryBlocks:
    """A change of ``pattern`` by blocks of queries: ``act(block, first)`` sees [batch, query, head, key] of
    the queries from ``first`` of those that are computed on, and gives what takes its place, or None.

    ``queries``: at most so many a block (None: as many as make ``PATTERN_BLOCK`` numbers).
    """

    act: Callable[[torch.Tensor, int], torch.Tensor | None]
    queries: int | None = None

    def __call__(self, pattern: torch.Tensor) -> torch.Tensor | None:
        """The whole pattern as one block."""
        return self.act(pattern, 0)


# Open changes by attention module; one model computes at a time in a process.
_open: dict[nn.Module, dict[str, list[AttentionChange]]] = {}
_own_implementation: list[str] = []
# Who computes attention in the place of a module's own function; it is given that first.
_instead: dict[nn.Module, AttentionFunction] = {}


@contextmanager
def in_attention(
    anatomy: Anatomy, site: str, layer: int, change: AttentionChange
) -> Iterator[None]:
    """While open, ``change`` sees the site on every forward of the layer that asks the interface."""
    attention = anatomy.attention[layer]
    if not asks_interface(attention):
        heads = (anatomy.n_heads, anatomy.n_kv_heads)
        with in_own_attention(attention, heads, site, change):
            yield
        return
    owner = attention_owner(attention)
    changes = _open.setdefault(owner, {}).setdefault(site, [])
    changes.append(change)
    try:
        with _switched(anatomy):
            yield
    finally:
        changes.remove(change)
        if not any(_open[owner].values()):
            del _open[owner]


@contextmanager
def attention_by(anatomy: Anatomy, layer: int, function: AttentionFunction) -> Iterator[None]:
    """While open, the layer computes attention by ``function``, which is given the model's own one first and
    then what that is given. Raises ``ValueError`` where a layer asks the interface for none."""
    attention = anatomy.attention[layer]
    if not asks_interface(attention):
        raise ValueError("attention is written out in the layer's own module")
    owner = attention_owner(attention)
    _instead[owner] = function
    try:
        with _switched(anatomy):
            yield
    finally:
        del _instead[owner]


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
    implementation: str = config._attn_implementation
    configs = {
        id(c): c
        for module in anatomy.base.modules()
        if (c := getattr(module, "config", None)) is not None
        and getattr(c, "_attn_implementation", None) == implementation
    }
    _own_implementation.append(implementation)
    for each in configs.values():  # past the setter, which would load kernels
        each._attn_implementation_internal = _NAME
    try:
        yield
    finally:
        for each in configs.values():
            each._attn_implementation_internal = implementation
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
    function = _own_function(module)
    if module in _instead:
        function = partial(_instead[module], function)
    attended = function(module, query, key, value, attention_mask, **kwargs)
    mask = None
    if changes.get("pattern") or changes.get("mask"):
        mask = _additive(attention_mask, query, key, _sees_no_later(module, kwargs))
    if mask is not None and changes.get("mask"):
        plain = mask.expand(len(query), -1, query.shape[2], key.shape[2])
        mask = _changed_mask(plain, changes["mask"])
        size = _block(query, key, changes["mask"])
        attended = (
            attended[0] + _by_mask(module, (query, key, value), (plain, mask), size, kwargs),
            None,
        )
    pattern = None
    if mask is not None and changes.get("pattern"):
        size = _block(query, key, changes["pattern"])
        parts: list[torch.Tensor] = []
        touched = False
        for first in range(0, query.shape[2], size):
            block = query[:, :, first : first + size]
            seen = mask if mask.shape[2] == 1 else mask[:, :, first : first + size]
            pattern = _eager(module)(module, block, key, value, seen, **kwargs)[1]
            difference = _difference(pattern, changes["pattern"], first)
            part = attended[0][:, first : first + size]
            if difference is not None:
                touched = True
                values = value.repeat_interleave(query.shape[1] // value.shape[1], dim=1)
                part = part + (difference.to(value.dtype) @ values).transpose(1, 2)
            parts.append(part)
        out = attended[0] if not touched else parts[0] if len(parts) == 1 else torch.cat(parts, 1)
        attended = (out, pattern if size >= query.shape[2] else None)
    return _changed(attended[0], changes.get("attended", ())), attended[1]


def _changed_mask(mask: torch.Tensor, changes: Sequence[AttentionChange]) -> torch.Tensor:
    for change in changes:
        new = change.act(mask, 0) if isinstance(change, QueryBlocks) else change(mask)
        mask = mask if new is None else new
    return mask


def _by_mask(
    module: nn.Module,
    qkv: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    masks: tuple[torch.Tensor, torch.Tensor],
    size: int,
    kwargs: dict[str, Any],
) -> torch.Tensor:
    """What the second of ``masks`` changes of the output [batch, query, head, d_head] under the first.

    A difference, so that rows and queries whose mask is the same stay exactly what they were; of ``size``
    queries at a time.
    """
    attend = _eager(module)
    query, key, value = qkv
    parts = []
    for begin in range(0, query.shape[2], size):
        part = slice(begin, begin + size)
        plain, changed = (
            attend(module, query[:, :, part], key, value, mask[:, :, part], **kwargs)[0]
            for mask in masks
        )
        parts.append(changed - plain)
    return torch.cat(parts, dim=1)


def _block(query: torch.Tensor, key: torch.Tensor, changes: Sequence[AttentionChange]) -> int:
    """How many queries at a time ``changes`` see: all of them where one wants the whole pattern."""
    blocks = [change.queries for change in changes if isinstance(change, QueryBlocks)]
    if len(blocks) < len(changes):
        return query.shape[2]
    fitting = PATTERN_BLOCK // (query.shape[0] * query.shape[1] * key.shape[2])
    return max(1, min([fitting, *(most for most in blocks if most is not None)]))


def _difference(
    pattern: torch.Tensor, changes: Sequence[AttentionChange], first: int
) -> torch.Tensor | None:
    """What ``changes`` change in ``pattern`` [batch, head, query, key]; None where they only looked.

    Only the difference goes through the pattern: the eager softmax rounds to float32 in every format, and
    rows of the batch that nobody edits must stay exactly what they were.
    """
    seen = pattern.transpose(1, 2)
    edited = seen
    for change in changes:
        new = change.act(edited, first) if isinstance(change, QueryBlocks) else change(edited)
        edited = edited if new is None else new
    return None if edited is seen else edited.transpose(1, 2) - pattern


def _changed(value: torch.Tensor, changes: Any) -> torch.Tensor:
    for change in changes:
        new = change(value)
        if new is not None:
            value = new
    return value


def _own_function(module: nn.Module) -> Callable[..., Any]:
    implementation = _own_implementation[-1]
    if implementation == "eager":
        return _eager(module)
    function: Callable[..., Any] = ALL_ATTENTION_FUNCTIONS[implementation]
    return function


def _eager(module: nn.Module) -> Callable[..., Any]:
    home = sys.modules[type(module).__module__]
    function: Callable[..., Any] = home.eager_attention_forward
    return function


def _sees_no_later(module: nn.Module, kwargs: dict[str, Any]) -> bool:
    """The kernels' own flag, read as they do where there is no mask: causal, but in encoders."""
    told = kwargs.get("is_causal")
    return bool(getattr(module, "is_causal", True) if told is None else told)


def _additive(
    mask: torch.Tensor | None, query: torch.Tensor, key: torch.Tensor, causal: bool = True
) -> torch.Tensor:
    """``mask`` as the eager functions want it: 0 where a key may be seen, the lowest number elsewhere."""
    lowest = torch.finfo(query.dtype).min
    if mask is None:  # by the kernel's own flag
        n_query, n_key = query.shape[2], key.shape[2]
        seen = torch.ones(n_query, n_key, dtype=torch.bool, device=query.device)
        mask = (seen.tril(n_key - n_query) if causal else seen)[None, None]
    if mask.dtype == torch.bool:
        return torch.zeros(mask.shape, dtype=query.dtype, device=mask.device).masked_fill(
            ~mask, lowest
        )
    return mask


def _mask(*args: Any, **kwargs: Any) -> Any:
    return ALL_MASK_ATTENTION_FUNCTIONS[_own_implementation[-1]](*args, **kwargs)


AttentionInterface.register(_NAME, _attend)
AttentionMaskInterface.register(_NAME, _mask)
