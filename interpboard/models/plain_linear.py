"""The weight of a linear map, also where it is packed or an adapter adds to it.

A module may show a ``weight`` and do more than multiply by it: an adapter adds to it (and calls itself
``Linear``, too), a packed format unpacks it. Whoever reads weights asks here, one module at a time: what had
to be unpacked is as large as the module would be, is held against what the module itself gives, and is
not kept.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from transformers.pytorch_utils import Conv1D

from interpboard.models.division import held
from interpboard.models.packed import base_layer, in_width, is_packed, out_width

# Of the largest number of a column: the module may compute in float16, whatever it is handed.
_AGREES = 4e-3
_AT_ONCE = 256  # unit vectors
_PROBED = 4  # columns of a weight that are held against the module
_SEEN: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()
_PLAIN = (nn.Linear, NonDynamicallyQuantizableLinear, Conv1D)


def plain_linear(module: nn.Module) -> tuple[torch.Tensor, torch.Tensor | None] | None:
    """Weight [out, in] and bias [out] of ``module``; None if it does more, or cannot be unpacked."""
    weight: Any = held(module, "weight") if type(module) in _PLAIN else None
    if type(module) in _PLAIN and type(weight) in (torch.Tensor, nn.Parameter):
        if not weight.is_floating_point() or weight.dim() != 2:
            return None
        plain = weight.detach().T if isinstance(module, Conv1D) else weight.detach()
    else:
        found = unpacked(module)
        if found is None:
            return None
        plain = found.detach()
    bias = held(module, "bias")
    return plain, None if bias is None else bias.detach()


@torch.no_grad()
def unpacked(module: nn.Module) -> torch.Tensor | None:
    """The weight [out, in] of a packed or adapted linear module, made anew at each call; None if it is no
    linear map, or in a form that is not known."""
    weight = _weight(module)
    if weight is None:
        return None
    if module not in _SEEN:
        _SEEN[module] = _agrees(module, weight)
    return weight if _SEEN[module] else None


def _weight(module: Any) -> torch.Tensor | None:
    if hasattr(module, "base_layer"):
        return _adapted(module)
    kind = type(module).__name__
    weight: Any = getattr(module, "weight", None)
    if kind == "Linear4bit" and getattr(weight, "quant_state", None) is not None:
        if getattr(weight.quant_state, "packing_format_for_cpu", False):
            return None  # its bytes are in another order
        from bitsandbytes.functional import dequantize_4bit

        return dequantize_4bit(weight.data, weight.quant_state)
    if kind == "Linear8bitLt":
        packed = module.state.CB if module.state.CB is not None else weight.CB
        scale = module.state.SCB if module.state.SCB is not None else weight.SCB
        if packed is None or scale is None:
            return None
        return packed.float() * (scale.float() / 127)[:, None]
    if isinstance(weight, torch.Tensor) and type(weight).__module__.startswith("torchao"):
        whole: torch.Tensor = weight.dequantize()
        return whole
    return _by_calling(module) if is_packed(module) and kind != "Linear4bit" else None


def _by_calling(module: Any) -> torch.Tensor | None:
    """The weight of a map in a format that is not known here: what it gives for unit vectors, some at a time;
    None if it does more than multiply and add."""
    width, like = in_width(module), _like(module)
    nothing = torch.zeros(1, width, device=like.device, dtype=like.dtype)
    constant = module.forward(nothing)
    columns = []
    for first in range(0, width, _AT_ONCE):
        unit = torch.zeros(
            min(_AT_ONCE, width - first), width, device=like.device, dtype=like.dtype
        )
        unit.diagonal(first).fill_(1)
        columns.append(module.forward(unit) - constant)
    weight = torch.cat(columns).T
    generator = torch.Generator().manual_seed(0)
    some = torch.randn(_PROBED, width, generator=generator).to(like)
    given, sums = module.forward(some).double(), some.double() @ weight.double().T
    size = some.double().abs() @ weight.double().abs().T
    off = (given - constant.double() - sums).abs()
    return weight if bool((off <= _AGREES * size).all()) else None


def _like(module: nn.Module) -> torch.Tensor:
    """A tensor in the number format that ``module`` computes in."""
    held = [*module.parameters(), *module.buffers()]
    floats = [t for t in held if t.is_floating_point() and t.element_size() > 1]
    return floats[0] if floats else torch.zeros((), device=held[0].device)


def _adapted(module: Any) -> torch.Tensor | None:
    """The base's weight with what the adapters at work add to it."""
    base = plain_linear(module.base_layer)
    if base is None or not hasattr(module, "get_delta_weight"):
        return None  # an adapter of another kind, which may do more than add
    weight = base[0]
    if module.disable_adapters or module.merged:
        return weight
    for adapter in module.active_adapters:
        if adapter in getattr(module, "lora_A", {}):
            added = module.get_delta_weight(adapter)
            is_conv1d = type(module.base_layer).__name__ == "Conv1D"
            weight = weight + (added.T if is_conv1d else added).to(weight)
    return weight


def _agrees(module: Any, weight: torch.Tensor) -> bool:
    """Whether the module itself gives columns of ``weight`` for unit vectors, and nothing else."""
    width = weight.shape[1]
    if (in_width(module), out_width(module)) != (width, weight.shape[0]):
        return False
    at = torch.linspace(0, width - 1, min(_PROBED, width)).long()
    computes = weight.dtype
    probe = torch.zeros(len(at) + 1, width, device=weight.device, dtype=computes)
    probe[torch.arange(len(at)), at] = 1
    given = module.forward(probe).double()  # past hooks: somebody may be looking
    columns = (given[:-1] - given[-1]).T
    expected = weight[:, at].double()
    bias = getattr(base_layer(module), "bias", None)
    constant = torch.zeros_like(given[-1]) if bias is None else bias.double()
    size = expected.abs().max().clamp_min(1e-30) + constant.abs().max()
    errors = (columns - expected).abs().max(), (given[-1] - constant).abs().max()
    return bool(max(errors) <= _AGREES * size)
