"""Llama's attention with queries and keys turned where they lie, and keys and values made first.

transformers turns them in five passes over new tensors (2.9 ms of 1,024 tokens, 12 heads of queries and 4 of
keys; 1.3 where they lie). A pass of which the keys and values alone are wanted ends before any query is made.
The attention function is the interface's, as in the module: whoever looks into it sees what they saw.
``proof.fewer_passes`` holds it against the module at load.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import _global_forward_hooks
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from interpboard.models.faster_parts import has_a_forward_of_its_own, is_plain_map
from interpboard.models.standin import Standin

_MODULE, _CLASS = "transformers.models.llama.modeling_llama", "LlamaAttention"
_MAPS = ("q_proj", "k_proj", "v_proj", "o_proj")


def is_rotary_attention(module: nn.Module) -> bool:
    """Whether it is of the class that is known, of plain maps of float32 on the CPU."""
    if (type(module).__module__, type(module).__name__) != (_MODULE, _CLASS):
        return False
    parts = module._modules
    return set(parts) == set(_MAPS) and all(
        part is not None and is_plain_map(part) and not has_a_forward_of_its_own(part)
        for part in parts.values()
    )


def turned(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """``heads`` [row, head, pos, d_head], turned where they lie by the angles of ``cos`` and ``sin`` [row or
    1, pos, d_head]: the second half of the numbers goes with the first."""
    half = heads.shape[-1] // 2
    one, other = heads[..., :half], heads[..., half:]
    cos, sin = cos[:, None], sin[:, None]
    of_one = one * sin[..., half:]
    one.mul_(cos[..., :half]).addcmul_(other, sin[..., :half], value=-1)
    other.mul_(cos[..., half:]).add_(of_one)
    return heads


class RotaryAttention(Standin):
    """Stands in for Llama's attention."""

    def takes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        own: Any = self.module
        angles = kwargs.get("position_embeddings")
        given = (kwargs.get("hidden_states"), *(angles if isinstance(angles, tuple) else ()))
        if args or len(given) != 3 or own.training:
            return False
        # What a map gave is turned where it lies: nobody may have kept it.
        looked_at = own.q_proj._forward_hooks or own.k_proj._forward_hooks or _global_forward_hooks
        return not looked_at and all(
            type(each) is torch.Tensor and each.dtype == torch.float32 and each.dim() == 3
            for each in given
        )

    def computed(
        self,
        *,
        hidden_states: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        attention_mask: torch.Tensor | None = None,
        past_key_values: Any = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        own: Any = self.module

        def by_head(made: torch.Tensor) -> torch.Tensor:
            return made.unflatten(-1, (-1, own.head_dim)).transpose(1, 2)

        key = turned(by_head(own.k_proj(hidden_states)), *position_embeddings)
        value = by_head(own.v_proj(hidden_states))
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, own.layer_idx)
        query = turned(by_head(own.q_proj(hidden_states)), *position_embeddings)
        eager: Callable[..., Any] = sys.modules[_MODULE].eager_attention_forward
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(own.config._attn_implementation, eager)
        attended, pattern = attend(
            own, query, key, value, attention_mask, dropout=0.0, scaling=own.scaling, **kwargs
        )
        return own.o_proj(attended.flatten(2)), pattern
