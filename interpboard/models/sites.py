"""Sites: the addresses of activations, and how to read or change what passes there.

| site | where | shape |
|---|---|---|
| ``embed`` | output of the token embedding | [batch, pos, d_model] |
| ``resid_pre`` | input of a layer | [batch, pos, d_model] |
| ``q``, ``k``, ``v``, ``pattern`` | inside attention | see ``attention_sites``, which has one more |
| ``z`` | input of the attention's output projection, split into heads | [batch, pos, head, d_head] |
| ``attn_out`` | what attention adds to the residual stream | [batch, pos, d_model] |
| ``resid_mid`` | the stream between attention and MLP, behind a norm of the sum | [batch, pos, d_model] |
| ``neuron`` | input of the MLP's last linear map (gated: gate times up) | [batch, pos, d_mlp] |
| ``router`` | the weights of a mixture's experts, as it uses them (``mixtures``) | [batch, pos, expert] |
| ``mlp_out`` | what the MLP adds to the residual stream | [batch, pos, d_model] |
| ``resid_post`` | output of a layer | [batch, pos, d_model] |

Outside attention these are plain module hooks, so they hold for every attention implementation. Which
of them a model has is for ``selfcheck`` to prove.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from interpboard.errors import Unsupported
from interpboard.models.anatomy import Anatomy
from interpboard.models.attention_sites import ATTENTION_SITES, AttentionChange, in_attention
from interpboard.models.mixtures import at_router
from interpboard.models.module_hooks import on_input, on_output

SITES = (
    "embed", "resid_pre", "q", "k", "v", "pattern", "z", "attn_out", "resid_mid", "neuron",
    "mlp_out", "resid_post",
)  # fmt: skip
ROUTER = "router"
HEAD_SITES = ("q", "k", "v", "pattern", "z")


@contextmanager
def at_site(
    anatomy: Anatomy, site: str, layer: int | None, change: AttentionChange
) -> Iterator[None]:
    """While open, ``change`` sees the activation at the site on every forward.

    What it returns takes the activation's place; None leaves it. ``layer`` is ignored for ``embed``.
    Raises ``Unsupported`` at a layer without heads or neurons that can be told apart.
    """
    if site == "embed":
        with on_output(anatomy.embedding, change):
            yield
        return
    if layer is None or site not in (*SITES, "attended", ROUTER):
        raise ValueError(f"no site {site!r} at layer {layer}")
    if anatomy.strips is not None:
        with anatomy.strips.at(anatomy, site, layer, change):
            yield
        return
    if site in (*HEAD_SITES, "attended") and not anatomy.d_head[layer]:
        raise Unsupported(f"Layer {layer} has no heads that can be told apart.")
    if site in ATTENTION_SITES:
        with in_attention(anatomy, site, layer, change):
            yield
        return
    if site == ROUTER:
        mixture = anatomy.mixtures[layer] if anatomy.mixtures else None
        if mixture is None:
            raise Unsupported(f"Layer {layer} is no mixture of experts that can be told apart.")
        with ExitStack() as stack:
            stack.enter_context(at_router(mixture, _in_rows(stack, anatomy.layers[layer], change)))
            yield
        return
    behind = anatomy.mid_norm[layer] if anatomy.mid_norm else None
    if (
        site == "resid_mid" and behind is not None
    ):  # the sum is normed, and nothing goes around that
        with on_output(behind, change):
            yield
        return
    with ExitStack() as stack:
        if site == "resid_mid":
            change = _also_past_the_mlp(stack, anatomy.layers[layer], change)
        if site in ("neuron", "mlp_out", "resid_mid"):
            change = _in_rows(stack, anatomy.layers[layer], change)
        if site == "z":
            change = _split_heads(change, anatomy.n_heads)
        module = _module(anatomy, site, layer)
        before = site in ("resid_pre", "z", "resid_mid", "neuron")
        stack.enter_context(on_input(module, change) if before else on_output(module, change))
        yield


def _module(anatomy: Anatomy, site: str, layer: int) -> nn.Module:
    parts = {
        "resid_pre": anatomy.layers,
        "z": anatomy.out_proj,
        "attn_out": anatomy.attn_out,
        "resid_mid": anatomy.before_mlp,
        "neuron": anatomy.down_proj,
        "mlp_out": anatomy.mlp_out,
        "resid_post": anatomy.layers,
    }
    module = parts[site][layer]
    if module is None:
        raise Unsupported(f"Layer {layer} has no neurons that can be told apart.")
    return module


def _split_heads(change: AttentionChange, n_heads: int) -> AttentionChange:
    def act(flat: torch.Tensor) -> torch.Tensor | None:
        changed = change(flat.unflatten(-1, (n_heads, -1)))
        return None if changed is None else changed.reshape(flat.shape)

    return act


def _in_rows(stack: ExitStack, layer: nn.Module, change: AttentionChange) -> AttentionChange:
    """Some MLPs (opt) see all positions of all rows in one dimension: give them back theirs."""
    rows: list[int] = []
    stack.enter_context(on_input(layer, lambda hidden: rows.append(len(hidden))))

    def act(activation: torch.Tensor) -> torch.Tensor | None:
        if activation.dim() != 2:
            return change(activation)
        changed = change(activation.unflatten(0, (rows[-1], -1)))
        return None if changed is None else changed.flatten(0, 1)

    return act


def _also_past_the_mlp(
    stack: ExitStack, layer: nn.Module, change: AttentionChange
) -> AttentionChange:
    """The stream also goes around the MLP, where no module can be hooked: the layer's output gets
    the same difference."""
    difference: list[torch.Tensor] = []

    def act(residual: torch.Tensor) -> torch.Tensor | None:
        changed = change(residual)
        if changed is not None:
            difference.append(changed - residual)
        return changed

    def around(output: torch.Tensor) -> torch.Tensor | None:
        return output + difference.pop().reshape(output.shape) if difference else None

    stack.enter_context(on_output(layer, around))
    return act
