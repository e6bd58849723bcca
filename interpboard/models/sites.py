"""Sites: the addresses of activations, and how to read or change what passes there.

| site | where | shape |
|---|---|---|
| ``embed`` | output of the token embedding | [batch, pos, d_model] |
| ``resid_pre`` | input of a layer | [batch, pos, d_model] |
| ``z`` | input of the attention's output projection, split into heads | [batch, pos, head, d_head] |
| ``attn_out`` | output of the attention module | [batch, pos, d_model] |
| ``mlp_out`` | output of the MLP module | [batch, pos, d_model] |
| ``resid_post`` | output of a layer | [batch, pos, d_model] |

All of them are plain module hooks, so they hold for every attention implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from interpboard.models.anatomy import Anatomy

Change = Callable[[torch.Tensor], torch.Tensor | None]

SITES = ("embed", "resid_pre", "z", "attn_out", "mlp_out", "resid_post")
HEAD_SITES = ("z",)


@contextmanager
def at_site(anatomy: Anatomy, site: str, layer: int | None, change: Change) -> Iterator[None]:
    """While open, ``change`` sees the activation at the site on every forward.

    What it returns takes the activation's place; None leaves it. ``layer`` is ignored for ``embed``.
    """
    module, before = _module(anatomy, site, layer)
    act = _split_heads(change, anatomy.n_heads) if site in HEAD_SITES else change
    with ExitStack() as stack:
        if site == "mlp_out" and layer is not None:
            shape: list[torch.Size] = []
            act = _in_rows(change, shape)
            see = _input_hook(lambda hidden: shape.append(hidden.shape[:2]))
            handle = anatomy.layers[layer].register_forward_pre_hook(see, with_kwargs=True)
            stack.callback(handle.remove)
        if before:
            handle = module.register_forward_pre_hook(_input_hook(act), with_kwargs=True)
        else:
            handle = module.register_forward_hook(_output_hook(act))
        stack.callback(handle.remove)
        yield


def _module(anatomy: Anatomy, site: str, layer: int | None) -> tuple[nn.Module, bool]:
    if site == "embed":
        return anatomy.embedding, False
    assert layer is not None, f"site {site} needs a layer"
    if site == "resid_pre":
        return anatomy.layers[layer], True
    if site == "resid_post":
        return anatomy.layers[layer], False
    if site == "z":
        return anatomy.out_proj[layer], True
    if site == "attn_out":
        return anatomy.attention[layer], False
    if site == "mlp_out":
        return anatomy.mlp[layer], False
    raise ValueError(f"no site {site!r}")


def _split_heads(change: Change, n_heads: int) -> Change:
    def act(flat: torch.Tensor) -> torch.Tensor | None:
        changed = change(flat.unflatten(-1, (n_heads, -1)))
        return None if changed is None else changed.reshape(flat.shape)

    return act


def _in_rows(change: Change, shape: list[torch.Size]) -> Change:
    """Some MLPs (opt) see all positions of all rows in one dimension: give them back theirs."""

    def act(activation: torch.Tensor) -> torch.Tensor | None:
        if activation.dim() != 2:
            return change(activation)
        changed = change(activation.unflatten(0, shape[-1]))
        return None if changed is None else changed.flatten(0, 1)

    return act


def _input_hook(act: Change) -> Callable[..., Any]:
    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        changed = act(args[0] if args else kwargs["hidden_states"])
        if changed is None:
            return None
        if args:
            return (changed, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": changed}

    return hook


def _output_hook(act: Change) -> Callable[..., Any]:
    def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
        changed = act(output[0] if isinstance(output, tuple) else output)
        if changed is None:
            return None
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    return hook
