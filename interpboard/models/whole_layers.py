"""A layer of GPT-2 in one piece, forward and backward, for gradients of activations alone.

Module by module a backward pass keeps what each operation wants for itself, makes a GELU's tanh twice, writes
a bias before each product and zeros before attention's gradients, and spends a tenth of its time between
operations. As one function of torch's autograd a layer keeps its two streams, queries, keys and values, and
the GELU's slope; a product is added to the stream where it lies. Of the last layer only one position is
read, so there attention absorbs its keys and values (``absorbed_attention``) and all else is of one token.

Only layers of GPT-2's own class, and no more than that now: nobody looks inside, no weight asks for a
gradient. ``proof.whole_layers`` holds value and gradient against the layer itself at load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import scaled_dot_product_attention
from transformers.pytorch_utils import Conv1D

from interpboard.models.absorbed_attention import attended_at_one
from interpboard.models.anatomy import Anatomy
from interpboard.models.faster_parts import (
    has_a_forward_of_its_own,
    is_tanh_gelu,
    out_in,
    product,
    products_are_faster,
)
from interpboard.models.finite import Tally
from interpboard.models.fused_gelu import GELU_CUBE, GELU_TWICE, rows_a_piece
from interpboard.models.module_hooks import standing_in

Hear = Callable[[torch.Tensor], None]

_MODULE, _CLASS = "transformers.models.gpt2.modeling_gpt2", "GPT2Block"
_OWN = {f"{_MODULE}.{name}" for name in (_CLASS, "GPT2Attention", "GPT2MLP")}
_KNOWN = (nn.LayerNorm, Conv1D, nn.Dropout)
_WIDE = (torch.float32, torch.float64)
_IGNORED = ("use_cache", "cache_position", "position_ids", "output_attentions")


@contextmanager
def layers_whole(anatomy: Anatomy, tally: Tally, read_at: int | None) -> Iterator[None]:
    """While open, a pass is heard by ``tally`` (``Tally.over``), and layers that may be are computed in one
    piece. Open it behind all other hooks. ``read_at``: the one position of the last layer that is read; the
    stream behind it is wrong elsewhere. For models that proved it (``Verified.whole_layers``)."""
    whole = [index for index, layer in enumerate(anatomy.layers) if may_be_whole(layer)]
    with ExitStack() as stack:
        for index in whole:
            at = read_at if index == anatomy.n_layers - 1 else None
            forward = partial(_forward, anatomy, index, tally, at)
            stack.enter_context(standing_in(anatomy.layers[index], forward))
        stack.enter_context(tally.over(anatomy, unheard_inside=whole))
        yield


def may_be_whole(layer: nn.Module) -> bool:
    """Whether ``layer`` is of the class that is known and no more than that now."""
    if _name(layer) != f"{_MODULE}.{_CLASS}" or "forward" in vars(layer):
        return False
    own: Any = layer
    names = {name for name, _ in layer.named_children()}
    if names != {"ln_1", "attn", "ln_2", "mlp"} or not is_tanh_gelu(own.mlp.act):
        return False
    if own.attn.is_cross_attention or own.attn.config._attn_implementation != "sdpa":
        return False
    inside = [part for part in layer.modules() if part is not layer]
    return all(_is_plain(part) for part in inside) and _is_alike([*layer.parameters()])


def _name(module: nn.Module) -> str:
    return f"{type(module).__module__}.{type(module).__name__}"


def _is_plain(part: nn.Module) -> bool:
    """Of a class that is known, in evaluation mode, and nobody's hook on it."""
    known = type(part) in _KNOWN or _name(part) in _OWN or is_tanh_gelu(part)
    hooks = (
        part._forward_hooks, part._forward_pre_hooks, part._backward_hooks, part._backward_pre_hooks
    )  # fmt: skip
    return known and not part.training and not any(hooks) and not has_a_forward_of_its_own(part)


def _is_alike(parameters: list[nn.Parameter]) -> bool:
    first = parameters[0]
    return first.dtype in _WIDE and all(
        type(one) is nn.Parameter
        and one.device.type == "cpu"
        and one.dtype == first.dtype
        and not one.requires_grad
        for one in parameters
    )


def _forward(
    anatomy: Anatomy, index: int, tally: Tally, at: int | None, *args: Any, **kwargs: Any
) -> torch.Tensor:
    layer: Any = anatomy.layers[index]
    stream: Any = args[0] if args else kwargs.get("hidden_states")
    given = {name: value for name, value in kwargs.items() if name != "hidden_states"}
    plain = all(value is None for value in (*args[1:], *_besides(given)))
    fits = type(stream) is torch.Tensor and stream.dim() == 3
    fits = fits and stream.dtype == layer.ln_1.weight.dtype
    if not plain or not fits or torch.is_autocast_enabled("cpu"):
        with tally.on_attention(anatomy, index):
            own: torch.Tensor = type(layer).forward(layer, *args, **kwargs)
            return own
    hear = partial(tally.hear, f"the attention of layer {index}")
    if at is None:
        return in_one_piece(layer, stream, hear)
    return in_one_piece_at(layer, stream, at, hear)


def _besides(given: dict[str, Any]) -> list[Any]:
    """What would make a layer compute something else: a mask, keys of before, another model's states."""
    return [value for name, value in given.items() if name not in _IGNORED or value is True]


def in_one_piece(layer: nn.Module, stream: torch.Tensor, hear: Hear) -> torch.Tensor:
    """What ``layer`` gives for ``stream`` [row, pos, d_model]. ``hear`` is told queries, keys and values."""
    found: torch.Tensor = _Whole.apply(stream, layer, hear)
    return found


def in_one_piece_at(layer: Any, stream: torch.Tensor, position: int, hear: Hear) -> torch.Tensor:
    """The same at ``position``, put at all positions. ``hear`` is told what attention gives there."""
    attention = layer.attn
    normed = layer.ln_1(stream[:, : position + 1])
    z = attended_at_one(attention, normed[:, -1], normed)
    hear(z)
    middle = stream[:, position] + attention.c_proj(z)
    end: torch.Tensor = middle + layer.mlp(layer.ln_2(middle))
    return end[:, None].expand(-1, stream.shape[1], -1)


class _Whole(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, stream: torch.Tensor, layer: Any, hear: Hear) -> torch.Tensor:
        attention, mlp, width = layer.attn, layer.mlp, stream.shape[-1]
        rows = stream.reshape(-1, width)
        normed, *of_first = _normed(layer.ln_1, rows)
        made = _mapped(attention.c_attn, normed).view(*stream.shape[:2], -1).requires_grad_()
        hear(made)
        with torch.enable_grad():
            z = _attended(attention, made)
        middle = _mapped(attention.c_proj, z.detach(), rows)
        normed, *of_second = _normed(layer.ln_2, middle)
        inner, slope = _activated(mlp.c_fc, normed)
        end = _mapped(mlp.c_proj, inner, middle)
        weights = (attention.c_attn, attention.c_proj, mlp.c_fc, mlp.c_proj)
        ctx.save_for_backward(
            rows, *of_first, middle, *of_second, slope, *(each.weight for each in weights)
        )
        ctx.layer, ctx.made, ctx.z = layer, made, z
        return end.view_as(stream)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, flow: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        rows, mean_1, scale_1, middle, mean_2, scale_2, slope, *weights = ctx.saved_tensors
        of_made, of_z, of_inner, of_end = weights
        end = flow.reshape(rows.shape)
        inner = _back(of_end, end).mul_(slope)
        back = _norm_back(ctx.layer.ln_2, _back(of_inner, inner), middle, mean_2, scale_2)
        back.add_(end)
        del inner
        (made,) = torch.autograd.grad(ctx.z, ctx.made, _back(of_z, back), retain_graph=True)
        given = _back(of_made, made.view(len(rows), -1))
        given = _norm_back(ctx.layer.ln_1, given, rows, mean_1, scale_1).add_(back)
        return given.view_as(flow), None, None


def _normed(norm: nn.LayerNorm, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
    found: tuple[torch.Tensor, ...] = torch.native_layer_norm(
        rows, norm.normalized_shape, norm.weight, norm.bias, norm.eps
    )
    return found


def _norm_back(
    norm: nn.LayerNorm, flow: torch.Tensor, rows: torch.Tensor, *sizes: torch.Tensor
) -> torch.Tensor:
    found: torch.Tensor = torch.ops.aten.native_layer_norm_backward(
        flow, rows, norm.normalized_shape, *sizes, norm.weight, norm.bias, [True, False, False]
    )[0]
    return found


def _mapped(module: Any, rows: torch.Tensor, onto: torch.Tensor | None = None) -> torch.Tensor:
    """``rows`` [n, in] through ``module`` [n, out], added to ``onto`` [n, out]."""
    if rows.dtype == torch.float32 and products_are_faster():
        found = product(rows, out_in(module), module.bias)
        return found if onto is None else found.add_(onto)
    if onto is None:
        return torch.addmm(module.bias, rows, module.weight)
    return (onto + module.bias).addmm_(rows, module.weight)


def _back(weight: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """The gradient [n, in] of what ``weight`` [in, out] maps to something with the gradient ``flow``."""
    if flow.dtype == torch.float32 and products_are_faster():
        return product(flow, weight, None)
    return torch.mm(flow, weight.T)


def _attended(attention: Any, made: torch.Tensor) -> torch.Tensor:
    """Head outputs [row · pos, d_model] of queries, keys and values [row, pos, 3 · d_model]."""
    heads = made.unflatten(-1, (3, attention.num_heads, attention.head_dim)).transpose(1, 3)
    q, k, v = heads.unbind(2)
    z = scaled_dot_product_attention(q, k, v, is_causal=True, scale=attention.scaling)
    return z.transpose(1, 2).reshape(-1, made.shape[-1] // 3)


def _activated(module: Any, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The tanh GELU [n, out] of ``rows`` [n, in] through ``module``, and its slope there."""
    if rows.dtype == torch.float32 and products_are_faster():
        values = product(rows, out_in(module), None)
    else:
        values = torch.mm(rows, module.weight)
    return values, gelu_and_slope(values, module.bias)


def gelu_and_slope(values: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Puts the tanh GELU of ``values`` [row, out] plus ``bias`` [out] in their place, and gives its slope.

    With s the sigmoid of 2u and y = 2 u' x they are x s and s (1 + y (1 − s)): one exponential for both.
    """
    slope = torch.empty_like(values)
    rows = rows_a_piece(values)
    beside = torch.empty_like(values[:rows])
    once, less = values.new_tensor(GELU_TWICE), values.new_tensor(-2 * GELU_TWICE)
    for some, share in zip(values.split(rows), slope.split(rows), strict=True):
        y = beside[: len(some)]
        some.add_(bias)
        torch.addcmul(once, some, some, value=GELU_TWICE * GELU_CUBE, out=share)  # 2u / x
        torch.add(less, share, alpha=3, out=y).mul_(some)
        share.mul_(some).sigmoid_()
        some.mul_(share)
        y.addcmul_(y, share, value=-1)
        share.addcmul_(share, y)
    return slope
