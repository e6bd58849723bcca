"""Weights that were packed while loading are those of the files, up to the rounding of their format.

A kernel may unpack to other numbers without a word: bitsandbytes on a CPU does, where the width of a map is
no multiple of its block. So a few rows of every packed map are unpacked and held against the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from safetensors import safe_open

from interpboard.errors import NotALanguageModel
from interpboard.models.checkpoint.headers import TensorHeader
from interpboard.models.packed import is_packed
from interpboard.models.plain_linear import unpacked

_BLOCK = 64  # numbers that share a scale, in four bits
# The most that rounding moves a number, of the largest with which it shares a scale: half the widest gap of
# nf4, and half a step of 127. LLM.int8 rounds to float16 before.
_ROUNDING = {"4bit": 0.153, "8bit": 0.5 / 127 + 2**-11, "int8": 0.5 / 127}
_MARGIN = 1.05  # for what the scale itself is rounded to
_ROWS = 4  # at each end
_BYTES = 512  # likewise
_NARROW = ("F8", "F4", "F6")  # formats of safetensors
_OF_PACKED = ("scale", "absmax", "qweight", "weight_packed", "_blocks", "SCB")  # names of tensors


@torch.no_grad()
def prove_packed(
    model: Any, tensors: Mapping[str, TensorHeader], quantize: str, source: str
) -> tuple[str, ...]:
    """A note where some could not be compared; raises ``NotALanguageModel`` where one is another."""
    unseen = 0
    for path, module in model.named_modules():
        if not is_packed(module):
            continue
        header = _header(path, model.base_model_prefix, tensors)
        weight = unpacked(module)
        if header is None or weight is None or header.shape != tuple(weight.shape):
            unseen += 1
            continue
        rows = sorted(
            {*range(min(_ROWS, len(weight))), *range(max(0, len(weight) - _ROWS), len(weight))}
        )
        with safe_open(header.file, framework="pt") as file:
            lazily = file.get_slice(header.name)
            wanted = torch.cat([lazily[row : row + 1] for row in rows]).double()
        off = (weight[rows].double().cpu() - wanted).abs()
        # The number format rounds the weight before it is packed, its scale, and what it is unpacked to.
        rounding = _MARGIN * _ROUNDING[quantize] + 2 * torch.finfo(_format(model)).eps
        if bool((off > rounding * _shared_by(wanted, quantize)).any()):
            raise NotALanguageModel(
                f"{source}: {path}, of width {weight.shape[1]}, is unpacked to other numbers than rounding "
                f"to {quantize} makes of the file's.",
                f"Its library is wrong there: use {'int8' if quantize != 'int8' else 'another format'}.",
            )
    return (f"{unseen} packed maps could not be held against the files",) if unseen else ()


def holds_packed(tensors: Mapping[str, TensorHeader]) -> bool:
    """Whether files with ``tensors`` hold any weight in fewer bits, or its scale."""
    return any(
        tensor.dtype.startswith(_NARROW) or any(word in tensor.name for word in _OF_PACKED)
        for tensor in tensors.values()
    )


def refuse_whole(model: Any, source: str) -> None:
    """Raise ``NotALanguageModel`` for a map that config.json calls packed by bitsandbytes and the files hold
    whole: it could not run."""
    for path, module in model.named_modules():
        kind, weight = type(module).__name__, getattr(module, "weight", None)
        four = kind == "Linear4bit" and getattr(weight, "quant_state", None) is None
        eight = kind == "Linear8bitLt" and getattr(weight, "CB", None) is None
        if four or (eight and getattr(module.state, "CB", None) is None):
            raise NotALanguageModel(
                f"{source}: config.json says that {path} is packed by bitsandbytes, and the files hold it "
                "whole.",
                "Take quantization_config out of config.json; --quantize packs it.",
            )


@torch.no_grad()
def prove_unpacked(model: Any, source: str) -> None:
    """Raise ``NotALanguageModel`` unless maps in 4 bits are unpacked to what their bytes and scales say.

    Also of a checkpoint that was packed before, whose whole weights nobody has.
    """
    for path, module in model.named_modules():
        weight = unpacked(module) if type(module).__name__ == "Linear4bit" else None
        if weight is None:
            continue
        at, wanted = _by_hand(module.weight)
        off = (weight.flatten()[at].double() - wanted).abs()
        if bool((off > 4 * torch.finfo(weight.dtype).eps * wanted.abs().max()).any()):
            raise NotALanguageModel(
                f"{source}: {path}, of width {weight.shape[1]}, is unpacked to other numbers than its "
                "bytes and scales say.",
                "bitsandbytes is wrong there on this device.",
            )


def _by_hand(weight: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Places in a flat weight of 4 bits, some at each end, and the numbers there: codes times scales."""
    state, packed = weight.quant_state, weight.data.flatten().view(torch.uint8)
    some = min(_BYTES, len(packed))
    chosen = torch.cat([torch.arange(some), torch.arange(len(packed) - some, len(packed))])
    chosen = chosen.to(packed.device)
    halves = torch.stack([packed[chosen] >> 4, packed[chosen] & 15], dim=1).flatten().long()
    at = torch.stack([2 * chosen, 2 * chosen + 1], dim=1).flatten()
    scale = state.absmax
    if state.nested:
        from bitsandbytes.functional import dequantize_blockwise

        scale = dequantize_blockwise(state.absmax, state.state2) + state.offset
    return at, state.code.double()[halves] * scale.double()[at // state.blocksize]


def _header(path: str, prefix: str, tensors: Mapping[str, TensorHeader]) -> TensorHeader | None:
    names = (
        f"{path}.weight",
        f"{path.removeprefix(prefix + '.')}.weight",
        f"{prefix}.{path}.weight",
    )
    return next((tensors[name] for name in names if name in tensors), None)


def _format(model: Any) -> torch.dtype:
    found = getattr(model, "dtype", torch.float32)
    return found if isinstance(found, torch.dtype) and found.is_floating_point else torch.float32


def _shared_by(wanted: torch.Tensor, quantize: str) -> torch.Tensor:
    """The largest number that each of ``wanted`` [row, in] shares a scale with."""
    if quantize != "4bit":
        return wanted.abs().amax(1, keepdim=True)
    width = wanted.shape[1]
    if width % _BLOCK:  # blocks go over the ends of rows: the largest number of the rows will do
        return wanted.abs().max().expand_as(wanted)
    blocks = wanted.abs().unflatten(1, (-1, _BLOCK)).amax(2)
    return blocks.repeat_interleave(_BLOCK, 1)
