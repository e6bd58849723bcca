"""The linear maps and activations of layers by kernels that are faster on a CPU, forward and backward.

On an AMD processor a product of oneDNN takes 0.6 to 0.9 of the time of torch's own (MKL's; of 1 to 512 rows)
and needs no copy of the weight. On an Intel one MKL's is the quicker by a tenth, and by half where a row of a
Conv1D is a multiple of 4 KiB, and stays. transformers composes its tanh GELU of eight passes over memory;
torch has it, and its derivative, in one. ``proof.faster_parts`` holds both against the module itself at load;
``faster_parts`` puts them in its place. Hooks see what they saw before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import gelu
from transformers.pytorch_utils import Conv1D

from interpboard.models.anatomy import Anatomy
from interpboard.models.module_hooks import standing_in

Forward = Callable[..., torch.Tensor]

_LINEAR = (nn.Linear, Conv1D)
_ACTIVATIONS = "transformers.activations"
_WIDE = (torch.float32, torch.float64)
_TANH_GELUS = ("NewGELUActivation", "FastGELUActivation", "AccurateGELUActivation")


@contextmanager
def faster_parts(anatomy: Anatomy) -> Iterator[None]:
    """While open, linear maps and activations of all layers compute by faster kernels.

    For models that proved it (``Verified.faster_parts``). A gradient is taken of the input alone: a map whose
    weight asks for one computes as ever.
    """
    products = products_are_faster()
    with ExitStack() as stack:
        for layer in anatomy.layers:
            for module, forward in faster_forwards(layer):
                if products or type(module) not in _LINEAR:
                    stack.enter_context(standing_in(module, forward))
        yield


@cache
def products_are_faster() -> bool:
    """Whether oneDNN's products in layers are the quicker ones here: not where torch has MKL, and the
    processor is one that MKL is made for. By the processor and not by timing, so that two runs on one machine
    give the same numbers to the last bit."""
    ask: Any = getattr(torch.cpu, "get_capabilities", dict)  # older torch does not say
    processor = str(ask().get("cpu_name", ""))
    return not (torch.backends.mkl.is_available() and "intel" in processor.lower())


@contextmanager
def faster_head(anatomy: Anatomy) -> Iterator[None]:
    """While open, the unembedding computes by a faster kernel: up to 256 rows of 50,257 logits in 0.55 to
    0.65 of the time. Where no gradient is taken, for models that proved it (``Verified.faster_head``)."""
    with ExitStack() as stack:
        for module, forward in faster_forwards(anatomy.unembedding):
            stack.enter_context(standing_in(module, forward))
        yield


def faster_forwards(part: nn.Module) -> Iterator[tuple[nn.Module, Forward]]:
    """The modules within ``part`` of a model that have a faster forward, and that forward.

    Left out is whatever is more than its class: a forward of its own (put there by whoever moves its weights
    to and fro), a parametrization, an adapter, a packed weight.
    """
    for module in part.modules():
        if "forward" in vars(module):
            continue
        if is_plain_map(module):
            yield module, partial(_linear, module)
        elif is_tanh_gelu(module):
            yield module, partial(_activated, module.forward)


def has_a_forward_of_its_own(module: nn.Module) -> bool:
    """Whether it computes by another forward than its class's, and not by the faster one that stands in."""
    own = vars(module).get("forward")
    return own is not None and not (isinstance(own, partial) and own.func in (_linear, _activated))


def is_plain_map(module: nn.Module) -> bool:
    """Whether it is a linear map of float32 on the CPU, and no more than its class."""
    if type(module) not in _LINEAR:
        return False
    weight, bias = module._parameters.get("weight"), module._parameters.get("bias")
    some = [weight] if bias is None else [weight, bias]
    return torch.backends.mkldnn.is_available() and all(
        type(each) is nn.Parameter and each.dtype == torch.float32 and each.device.type == "cpu"
        for each in some
    )


def is_tanh_gelu(module: nn.Module) -> bool:
    """Whether it is one of transformers' GELUs of eight passes."""
    of = type(module)
    return of.__module__ == _ACTIVATIONS and of.__name__ in _TANH_GELUS


def _linear(module: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
    weight, bias = module.weight, module.bias
    asks = torch.is_grad_enabled() and (
        weight.requires_grad or (bias is not None and bias.requires_grad)
    )
    given = args[0] if len(args) == 1 and not kwargs else None
    is_plain = type(given) is torch.Tensor and given.dtype == torch.float32 and given.numel() > 0
    if asks or not is_plain or torch.is_autocast_enabled("cpu"):
        own: torch.Tensor = type(module).forward(module, *args, **kwargs)
        return own
    found: torch.Tensor = _Product.apply(given, out_in(module), bias)
    return found


def out_in(module: nn.Module) -> torch.Tensor:
    """The weight [out, in] of a linear map."""
    weight: torch.Tensor = module.weight  # type: ignore[assignment]
    return weight.T if isinstance(module, Conv1D) else weight


def _activated(own: Callable[..., torch.Tensor], *args: Any, **kwargs: Any) -> torch.Tensor:
    given = args[0] if len(args) == 1 and not kwargs else None
    if not isinstance(given, torch.Tensor) or given.dtype not in _WIDE:
        return own(*args, **kwargs)
    return gelu(given, approximate="tanh")


class _Product(torch.autograd.Function):
    """given [..., in] times weight [out, in], transposed, plus bias [out]."""

    @staticmethod
    def forward(
        ctx: Any, given: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.save_for_backward(weight)
        return product(given, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, flow: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return product(flow, weight.T, None), None, None


def product(
    given: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, *, gelu: bool = False
) -> torch.Tensor:
    """``given`` [..., in] times ``weight`` [out, in], transposed, plus ``bias`` [out], by oneDNN; with
    ``gelu`` the tanh GELU of that."""
    rows = given.reshape(-1, given.shape[-1]).contiguous()
    after: tuple[Any, ...] = ("gelu", [], "tanh") if gelu else ("none", [], "")
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, *after)
    return found.reshape(*given.shape[:-1], -1)
