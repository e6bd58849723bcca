"""Checkpoints of compressed-tensors: unpacked when they are opened, each map by its own scheme.

The library would unpack at the first forward pass, in the number format of the scales, and round what maps
are given inside a ``no_grad``: gradients would be zero without a word. So every map is unpacked at once and
is a plain one afterwards; a note says where the kernels of a server would round inputs. Some rows of each
are worked out here by hand from the bytes and scales in the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import torch
from safetensors import safe_open

from interpboard.errors import NotALanguageModel
from interpboard.models.checkpoint.headers import TensorHeader
from interpboard.models.quantised import INPUTS_AS_THEY_ARE

METHOD = "compressed-tensors"
_ROWS = 4  # at each end
_ROUNDING = 4.0  # roundings of the number format: of the scale, the product, and what is kept


def refuse_unreadable(raw: Mapping[str, Any], name: str) -> None:
    """Raise ``NotALanguageModel`` for what transformers would open as another model, or could not open.

    Rotated weights are a part of the format that it leaves out without a word, sparse ones were dropped by
    the library; zero points of packed whole numbers have another shape than it expects.
    """
    about = raw["quantization_config"]
    if about.get("transform_config"):
        raise NotALanguageModel(
            f"{name}: its maps are rotated (transform_config), which transformers does not do.",
            "Choose a checkpoint without transforms.",
        )
    sparse = (about.get("sparsity_config") or {}).get("format", "dense")
    if sparse != "dense":
        raise NotALanguageModel(
            f"{name}: its weights are sparse ({sparse}), which compressed-tensors no longer reads.",
            "Choose a dense checkpoint.",
        )
    for group in _groups(about):
        weights = group.get("weights") or {}
        form = group.get("format") or about.get("format")
        if form == "pack-quantized" and weights.get("symmetric") is False:
            raise NotALanguageModel(
                f"{name}: its whole numbers are packed with zero points, which "
                f"compressed-tensors {version(METHOD)} under transformers {version('transformers')} "
                "cannot load.",
                "Choose a symmetric checkpoint (W4A16, W8A16).",
            )


@torch.no_grad()
def unpack_maps(model: Any, raw: Mapping[str, Any]) -> tuple[str, ...]:
    """Make plain maps of all that are packed, in the number format of ``model``.

    Returns notes on what that leaves out.
    """
    from compressed_tensors.compressors.base import decompress_module

    dtype = model.dtype
    for module in list(model.modules()):
        if getattr(module, "quantization_scheme", None) is None:
            continue
        # The library unpacks in the number format of the scales, which may be narrower.
        for scale, tensor in list(module.named_parameters(recurse=False)):
            if scale.endswith("_scale") and tensor.is_floating_point():
                tensor.data = tensor.data.to(dtype)
        decompress_module(module, leave_decompressed=False)
        for left, tensor in list(module.named_parameters(recurse=False)):
            if left not in ("weight", "bias"):
                delattr(module, left)
            elif tensor.dtype != dtype:
                tensor.data = tensor.data.to(dtype)
    hook = getattr(model, "ct_decompress_hook", None)
    if hook is not None:
        hook.remove()
        del model.ct_decompress_hook
    about = raw["quantization_config"]
    parts = [
        ("inputs", any(group.get("input_activations") for group in _groups(about))),
        ("outputs", any(group.get("output_activations") for group in _groups(about))),
        ("keys and values", bool(about.get("kv_cache_scheme"))),
    ]
    rounded = [what for what, there in parts if there]
    if not rounded:
        return ()
    return (INPUTS_AS_THEY_ARE.format(" and ".join(rounded)),)


@torch.no_grad()
def prove_unpacked_by_files(
    model: Any, tensors: Mapping[str, TensorHeader], source: str
) -> tuple[str, ...]:
    """Hold some rows of every unpacked map against bytes times scales of the files.

    A note where a form is not known here; raises ``NotALanguageModel`` where one holds other numbers.
    """
    unseen = 0
    for name in tensors:
        if not name.endswith(".weight_scale"):
            continue
        path = name.removesuffix(".weight_scale")
        weight = _weight(model, path)
        found = None if weight is None else _by_hand(path, tensors, weight.shape)
        if weight is None or found is None:
            unseen += 1
            continue
        rows, wanted = found
        off = (weight[rows].double().cpu() - wanted).abs()
        allowed = _ROUNDING * torch.finfo(weight.dtype).eps * wanted.abs()
        if bool((off > allowed).any()):
            raise NotALanguageModel(
                f"{source}: {path} is unpacked to other numbers than its bytes and scales say.",
                f"compressed-tensors {version(METHOD)} is wrong there.",
            )
    return (f"{unseen} unpacked maps could not be held against the files",) if unseen else ()


def _by_hand(
    path: str, tensors: Mapping[str, TensorHeader], shape: Iterable[int]
) -> tuple[list[int], torch.Tensor] | None:
    """Some rows of a map [out, in] and the numbers there; None for a form that is not known here."""
    out, width = shape
    rows = sorted({*range(min(_ROWS, out)), *range(max(0, out - _ROWS), out)})
    scale = _read(tensors, f"{path}.weight_scale")
    if f"{path}.weight_global_scale" in tensors or f"{path}.weight_zero_point" in tensors:
        return None
    if scale.numel() == 1:
        scale = scale.reshape(1, 1).expand(out, 1)
    if scale.dim() != 2 or scale.shape[0] != out or width % scale.shape[1]:
        return None  # blocks over rows, or another form
    scale = scale[rows].double().repeat_interleave(width // scale.shape[1], 1)
    if f"{path}.weight_packed" in tensors:
        words = _read(tensors, f"{path}.weight_packed")
        if words.dtype != torch.int32:
            return None
        bits = words.shape[1] * 32 // width
        return rows, (_whole_numbers(words[rows], bits, width) - 2 ** (bits - 1)) * scale
    numbers = _read(tensors, f"{path}.weight")
    return rows, numbers[rows].double() * scale


def _whole_numbers(words: torch.Tensor, bits: int, width: int) -> torch.Tensor:
    """Whole numbers [row, in] of ``bits`` bits, one after another from the lowest bit of each word of 32."""
    stream = (words.long()[..., None] >> torch.arange(32)) & 1
    each = stream.flatten(1)[:, : bits * width].unflatten(1, (width, bits))
    return (each * 2 ** torch.arange(bits)).sum(-1).double()


def _read(tensors: Mapping[str, TensorHeader], name: str) -> torch.Tensor:
    with safe_open(tensors[name].file, framework="pt") as file:
        tensor: torch.Tensor = file.get_tensor(name)
    return tensor


def _weight(model: Any, path: str) -> torch.Tensor | None:
    """The weight of the map that the files call ``path``; None where it went into something larger."""
    prefix = model.base_model_prefix
    for name in (path, path.removeprefix(f"{prefix}."), f"{prefix}.{path}"):
        try:
            weight = model.get_submodule(name).weight
        except AttributeError:
            continue
        return weight if weight.dim() == 2 and weight.device.type != "meta" else None
    return None


def _groups(about: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    groups = about.get("config_groups") or {}
    return [group for group in groups.values() if isinstance(group, Mapping)]
