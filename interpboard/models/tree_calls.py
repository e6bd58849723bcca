"""Layers called on a prefix tree: calls recorded for several prompts, as one over the nodes of their tree.

Laid out in a row, the nodes are a prompt in which each sees those that it follows. So the recorded mask is
read at the prompts' own positions, and closed for what a node does not follow; angles, position ids and
biases of keys (alibi) are those of the positions. The layer itself is called as ever. What else a family
hands its layers is not known here: that they give what the prompts' own calls gave is proved before it is
used (``runs.on_tree``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from interpboard.models.absorbed_attention import is_plain, keys_and_values_from
from interpboard.models.calls import ALIBI, CACHES, MASK, LayerCall, hidden_of
from interpboard.models.crossing import to_device
from interpboard.models.faster_parts import products_are_faster
from interpboard.models.kept_tensors import Kept
from interpboard.models.layer_caches import EnoughSeen, KeysValues, Prefix, StoppingCache


def tree_call(
    call: LayerCall, rows: torch.Tensor, positions: torch.Tensor, seen: torch.Tensor
) -> LayerCall:
    """``call`` of several prompts as one of a single row [1, node, d_model]; see ``PrefixTree``.

    Raises ``ValueError`` for arguments whose tokens cannot be told.
    """
    batch, length = call.hidden.shape[:2]

    def argument(name: str, value: Any) -> Any:
        if name in CACHES:
            return None
        if name == MASK:
            return _mask(value, rows, positions, seen.to(call.device))
        if isinstance(value, tuple):
            return tuple(argument("", each) for each in value)
        if not isinstance(value, torch.Tensor) or not value.dim():
            return value
        if name == ALIBI:  # [row · head, 1, pos] of the keys: a node has that of its own row
            own = value.unflatten(0, (batch, -1))[rows.to(value.device), :, 0, positions]
            return own.T[:, None]
        if value.dim() == 1 and len(value) == length:
            return value[positions.to(value.device)]
        if value.dim() in (2, 3) and value.shape[1] == length and value.shape[0] in (1, batch):
            row = rows if value.shape[0] == batch else torch.zeros_like(rows)
            return value[row.to(value.device), positions.to(value.device)][None]
        raise ValueError(f"what of {name} {tuple(value.shape)} belongs to a token is not known")

    arguments = {name: argument(name, value) for name, value in call.arguments.items()}
    arguments.setdefault(MASK, _mask(None, rows, positions, seen.to(call.device)))
    return LayerCall(call.layer, _of_nodes(call.hidden, rows, positions), arguments)


def of_nodes(value: torch.Tensor, rows: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """[1, node, …] of ``value`` [row, pos, …]."""
    return value[rows.to(value.device), positions.to(value.device)][None]


def _of_nodes(value: Kept, rows: torch.Tensor, positions: torch.Tensor) -> Kept:
    return Kept(of_nodes(value.tensor, rows, positions), value.device)


def _mask(
    value: Any, rows: torch.Tensor, positions: torch.Tensor, seen: torch.Tensor
) -> torch.Tensor:
    """[1, 1 or head, node, node]. Without a mask a layer is causal."""
    if value is None:
        return seen[None, None]
    if not isinstance(value, torch.Tensor) or value.dim() != 4:
        raise ValueError("a mask of another form")
    row = rows if value.shape[0] > 1 else torch.zeros_like(rows)
    # A node's mask at the positions of the others, as its own prompt has it.
    own = value[row.to(value.device)[:, None], :, positions[:, None], positions[None]]
    own = own.permute(2, 0, 1)[None]
    return own.masked_fill(~seen, closed(own))


def closed(mask: torch.Tensor) -> float:
    """What stands in ``mask`` where nothing is seen."""
    return False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min


def keys_and_values_of(
    call: LayerCall, hidden: torch.Tensor, attention: nn.Module | None = None
) -> KeysValues:
    """What the layer makes of ``hidden`` [row, node, d_model], [row, kv_head, node, d_head] each; it is run
    no further than that. Raises ``ValueError`` for one that asks its cache for nothing.

    ``attention``: the layer's, where it was proved that keys and values are a linear map of what it is given
    (``Verified.absorbed``). As long as it is no more than its class, no queries are made.
    """
    if attention is not None and is_plain(attention) and not products_are_faster():
        base = torch.zeros(len(hidden), dtype=torch.long, device=call.device)
        return keys_and_values_from(attention, call.given_to(attention, hidden, base, 0))
    cache = StoppingCache()
    arguments = {**call.arguments, MASK: _expanded(call.arguments[MASK], len(hidden))}
    try:
        call.layer(hidden, **{**arguments, call.cache_argument(): cache})
    except EnoughSeen:
        return cache.made[0]
    raise ValueError("the layer keeps no keys and values")


def called_at(
    call: LayerCall, hidden: torch.Tensor, ends: torch.Tensor, made: KeysValues
) -> torch.Tensor:
    """The layer's output [row, end, d_model] for ``hidden`` [row, end, d_model] at the nodes ``ends`` alone.

    ``made``: keys and values of all nodes, of the first rows; the others keep their attention
    (``partial_layer``). A node's own come with it, so that it does not look at those in ``made``.
    """
    nodes, attending = call.hidden.shape[1], len(made[0])
    mask: torch.Tensor = call.arguments[MASK]
    ends = to_device(ends, mask.device)
    at_nodes = mask[..., ends, :]
    own = torch.eye(len(ends), dtype=torch.bool, device=mask.device)
    itself = torch.zeros(len(ends), nodes, dtype=torch.bool, device=mask.device)
    itself[torch.arange(len(ends), device=mask.device), ends] = True
    at_own = mask[..., ends, ends][..., None].expand(*mask.shape[:2], len(ends), len(ends))
    parts = [
        at_nodes.masked_fill(itself, closed(mask)),
        at_own.masked_fill(~own, closed(mask)),
    ]
    arguments = {
        name: _at(value, ends, nodes)
        for name, value in call.arguments.items()
        if name not in (MASK, ALIBI)
    }
    alibi: torch.Tensor | None = call.arguments.get(ALIBI)
    if alibi is not None:  # of the keys: all nodes, and the ends behind them
        of_keys = torch.cat([alibi, alibi[..., ends.to(alibi.device)]], -1)
        arguments[ALIBI] = of_keys.repeat(max(1, attending), 1, 1)
    arguments[MASK] = _expanded(torch.cat(parts, -1), attending)
    arguments[call.cache_argument()] = Prefix(*made)
    return hidden_of(call.layer(hidden, **arguments))


def _expanded(mask: torch.Tensor, rows: int) -> torch.Tensor:
    return mask.expand(max(1, rows), *mask.shape[1:])


def _at(value: Any, ends: torch.Tensor, nodes: int) -> Any:
    if isinstance(value, tuple):
        return tuple(_at(each, ends, nodes) for each in value)
    if not isinstance(value, torch.Tensor) or not value.dim():
        return value
    if value.dim() == 1:
        return value[ends.to(value.device)]
    return value[:, ends.to(value.device)]
