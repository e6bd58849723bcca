"""Attention of one query whose keys and values are never made: what they are made of is absorbed into it.

A score is q · (n W_k + b_k) = (q W_kᵀ) · n + q · b_k, and what a head mixes is (Σ p n) W_v + (Σ p) b_v,
with n the normed stream of a key's position. So one query of many positions reads the streams as they are,
where queries, keys and values of all of them are 3 d² products a position. Only where keys are a linear map
of the stream, and all that comes before is seen: attention of GPT-2's own class, with learned positions.
Others turn or norm their keys, or have a window. ``proof.absorbed`` holds it against the layer at load.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from interpboard.models.calls import MASK, LayerCall
from interpboard.models.faster_parts import has_a_forward_of_its_own
from interpboard.models.layer_caches import KeysValues
from interpboard.models.module_hooks import standing_in

_MODULE, _CLASS = "transformers.models.gpt2.modeling_gpt2", "GPT2Attention"
_PLAIN = ("sdpa", "eager")
_WIDE = (torch.float32, torch.float64)


def may_absorb(attention: nn.Module, call: LayerCall, position: int) -> bool:
    """Whether ``attention`` is of the class that is known, no more than that now, and the query at
    ``position`` sees all that comes before."""
    return is_plain(attention) and _sees_all(call, position)


def is_plain(attention: nn.Module) -> bool:
    """Whether ``attention`` is of the class that is known, and no more than that now."""
    own: Any = attention
    if (type(own).__module__, type(own).__name__) != (_MODULE, _CLASS) or own.is_cross_attention:
        return False
    made = own.c_attn
    if has_a_forward_of_its_own(own) or has_a_forward_of_its_own(made):
        return False
    if type(made) is not Conv1D or made._forward_hooks or made._forward_pre_hooks:
        return False
    plain = all(type(p) is nn.Parameter and p.dtype in _WIDE for p in (made.weight, made.bias))
    if not plain or made.weight.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    return own.config._attn_implementation in _PLAIN


def keys_and_values_from(attention: nn.Module, normed: torch.Tensor) -> KeysValues:
    """What ``attention``, which ``is_plain``, makes of the ``normed`` [row, pos, d_model] it is given: [row,
    head, pos, d_head] each. Of three thirds of its map these are two."""
    own: Any = attention
    begin, made = own.split_size, own.c_attn
    rows = torch.addmm(made.bias[begin:], normed.flatten(0, 1), made.weight[:, begin:])
    both = rows.view(*normed.shape[:2], 2, own.num_heads, own.head_dim).permute(2, 0, 3, 1, 4)
    return both[0], both[1]


def _sees_all(call: LayerCall, position: int) -> bool:
    mask = call.arguments.get(MASK)
    if mask is None:
        return True
    if not isinstance(mask, torch.Tensor) or mask.dim() != 4:
        return False
    seen = mask[:, :, position, : position + 1]
    return bool(seen.all()) if mask.dtype == torch.bool else not bool(seen.any())


@contextmanager
def absorbed(
    attention: nn.Module, normed: torch.Tensor, before: KeysValues | None = None
) -> Iterator[None]:
    """While open, ``attention`` takes what it is given [row, 1, d_model] for the last position of ``normed``
    [row, pos, d_model], which it was given of these rows at all positions. ``before`` [row, head, pos,
    d_head]: keys and values of the positions before those.
    """
    own: Any = attention

    def forward(*args: Any, **kwargs: Any) -> tuple[torch.Tensor, None]:
        given: torch.Tensor = args[0] if args else kwargs["hidden_states"]
        if given.shape[:2] != (len(normed), 1):
            raise ValueError(f"one query of {len(normed)} rows is absorbed, not {given.shape[:2]}")
        z = attended_at_one(own, given[:, 0], normed, before)
        return own.resid_dropout(own.c_proj(z[:, None])), None

    with standing_in(attention, forward):
        yield


def attended_at_one(
    own: Any, given: torch.Tensor, normed: torch.Tensor, before: KeysValues | None = None
) -> torch.Tensor:
    """Head outputs [row, head · d_head] of the query that ``given`` [row, d_model] makes; the others as for
    ``absorbed``."""
    heads, width = own.num_heads, own.head_dim
    of_q, of_k, of_v = own.c_attn.weight.split(own.split_size, dim=1)
    b_q, b_k, b_v = own.c_attn.bias.split(own.split_size)
    query = torch.addmm(b_q, given, of_q).unflatten(-1, (heads, width)).transpose(0, 1)
    into_stream = torch.bmm(query, of_k.unflatten(1, (heads, width)).permute(1, 2, 0))
    scores = torch.bmm(into_stream.transpose(0, 1), normed.transpose(1, 2))  # [row, head, pos]
    scores += (query * b_k.view(heads, 1, width)).sum(-1).T[..., None]
    if before is not None:
        earlier = query.transpose(0, 1)[:, :, None] @ before[0].transpose(-1, -2)
        scores = torch.cat([earlier[:, :, 0], scores], dim=-1)
    pattern = (scores * own.scaling).softmax(-1)
    of_normed = pattern[..., pattern.shape[-1] - normed.shape[1] :]
    mixed = torch.bmm(of_normed, normed).transpose(0, 1)  # [head, row, d_model]
    z = torch.bmm(mixed, of_v.unflatten(1, (heads, width)).transpose(0, 1))
    z += of_normed.sum(-1).T[..., None] * b_v.view(heads, 1, width)
    if before is not None:
        of_before = pattern[:, :, None, : before[1].shape[2]]
        z += (of_before @ before[1])[:, :, 0].transpose(0, 1)
    return z.transpose(0, 1).flatten(1)
