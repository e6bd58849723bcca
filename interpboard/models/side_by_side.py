"""Calls of one layer on several trees as one call, a row each: the shorter ones are filled up.

What is filled in is the first node once more, which sees itself and which nobody sees. It gives numbers as
finite as that node's, and they are cut away again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from interpboard.models.calls import ALIBI, MASK, LayerCall
from interpboard.models.tree_calls import closed


class Apart(Exception):
    """Calls that cannot be made together."""


def with_first_again(value: torch.Tensor, nodes: int) -> torch.Tensor:
    """``value`` [1, node, …] with its first node again until there are ``nodes``."""
    missing = nodes - value.shape[1]
    return (
        value
        if not missing
        else torch.cat([value, value[:, :1].expand(-1, missing, *value.shape[2:])], 1)
    )


def arguments_side_by_side(calls: Sequence[LayerCall], nodes: int) -> dict[str, Any]:
    """What to call the layer of ``calls`` with for all of them, of ``nodes`` a row. They are of one row each
    (``tree_calls.tree_call``). Raises ``Apart`` where it is not known how."""
    if len(calls) == 1:
        return calls[0].arguments
    sizes = [call.hidden.shape[1] for call in calls]
    return {
        name: _joined(name, [call.arguments[name] for call in calls], sizes, nodes)
        for name in calls[0].arguments
    }


def _joined(name: str, values: Sequence[Any], sizes: Sequence[int], nodes: int) -> Any:
    first = values[0]
    if isinstance(first, tuple):
        parts = zip(*values, strict=True)
        return tuple(_joined("", part, sizes, nodes) for part in parts)
    if not isinstance(first, torch.Tensor):
        return first  # each has it of the same recorded call
    if name == MASK:
        return torch.cat([_filled_mask(each, nodes) for each in values])
    if name == ALIBI:  # [head, 1, node]
        return torch.cat(
            [with_first_again(each.transpose(1, 2), nodes).transpose(1, 2) for each in values]
        )
    if first.dim() < 2 or any(
        each.shape[:2] != (1, size) for each, size in zip(values, sizes, strict=True)
    ):
        raise Apart(name)
    return torch.cat([with_first_again(each, nodes) for each in values])


def _filled_mask(mask: torch.Tensor, nodes: int) -> torch.Tensor:
    """[1, 1 or head, node, node]."""
    own = mask.shape[-1]
    if own == nodes:
        return mask
    whole = mask.new_full((*mask.shape[:2], nodes, nodes), closed(mask))
    whole[..., :own, :own] = mask
    itself = torch.arange(own, nodes, device=mask.device)
    whole[..., itself, itself] = True if mask.dtype == torch.bool else 0.0
    return whole
