"""Weights in fewer bits: packed while they are loaded, or already in the checkpoint; and what became of it.

transformers packs what it can and says nothing of the rest: a model of GPT-2's Conv1D stays as it is, an
unembedding mostly does. So the packed maps are counted when the model is there, and a model without any is
refused. What a checkpoint says of itself is unpacked where this machine cannot compute with it; a note
says so.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from interpboard.errors import BadParameter, NotALanguageModel
from interpboard.models.libraries import require_library
from interpboard.models.packed import is_linear, is_packed, mixes_rows
from interpboard.registry.loading import OF_METHOD, QUANTIZE

_LIBRARY = {"4bit": "bitsandbytes", "8bit": "bitsandbytes", "int8": "torchao"}
_WORDS = {
    "4bit": "4-bit nf4 (bitsandbytes)",
    "8bit": "8-bit LLM.int8 (bitsandbytes)",
    "int8": "int8 weights (torchao)",
}
INPUTS_AS_THEY_ARE = "{} are not rounded to fewer bits, as kernels made for this checkpoint do"
_NAMED = 4
_CPU_KERNEL = "support_avx512bf16_for_cpu"  # of bitsandbytes' Linear4bit


def packing(quantize: str, raw: Mapping[str, Any], dtype: torch.dtype, name: str) -> Any:
    """What transformers is handed to pack weights while loading; None where nothing was asked.

    ``raw``: config.json. Raises ``BadParameter`` for an unknown format and for a checkpoint that is packed
    already, ``MissingPackage`` where a library is not installed. MXFP4 is unpacked on every machine.
    """
    method = method_of(raw)
    if not quantize:
        if method in OF_METHOD:
            require_library(OF_METHOD[method], f"{name}, whose weights are in {method},")
        if method == "mxfp4":  # no gradient passes its kernels, which are fetched from the network
            from transformers import Mxfp4Config

            return Mxfp4Config(dequantize=True)
        return None
    if quantize not in QUANTIZE:
        raise BadParameter(
            f"There is no format {quantize!r} to quantize to.", f"There are: {', '.join(QUANTIZE)}."
        )
    if method:
        raise BadParameter(
            f"The weights of {name} are in {method} already.", "Open it without --quantize."
        )
    if dtype == torch.float64 and quantize != "8bit":
        raise BadParameter(
            f"Weights in {quantize} are not unpacked to float64.", "Use --dtype float32, or 8bit."
        )
    require_library(_LIBRARY[quantize], f"--quantize {quantize}")
    if quantize == "int8":
        from torchao.quantization import Int8WeightOnlyConfig
        from transformers import TorchAoConfig

        return TorchAoConfig(Int8WeightOnlyConfig())
    from transformers import BitsAndBytesConfig

    if quantize == "8bit":
        logging.getLogger("bitsandbytes.autograd._functions").addFilter(_said_already)
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
    )


def method_of(raw: Mapping[str, Any]) -> str:
    """How the weights of a checkpoint are packed, as its configuration says; empty if they are not."""
    about = raw.get("quantization_config")
    if not isinstance(about, dict):
        return ""
    method = about.get("quant_method")
    if method is None and (about.get("load_in_4bit") or about.get("load_in_8bit")):
        return "bitsandbytes"
    return str(method or "an unnamed format")


def quantisation_of(
    model: nn.Module, quantize: str, raw: Mapping[str, Any], name: str, whole: bool = False
) -> tuple[str, tuple[str, ...]]:
    """In words what the weights are packed or were unpacked from, and notes. Empty where nothing is.

    ``whole``: the files hold no packed weight, whatever their configuration says.
    Raises ``NotALanguageModel`` where packing was asked for and nothing was packed.
    """
    linear = {
        path: module
        for path, module in model.named_modules()
        if is_linear(module) and not isinstance(module, nn.Embedding) and _is_map(module)
    }
    packed = [path for path, module in linear.items() if is_packed(module)]
    method = method_of(raw)
    if not quantize and not method:
        return "", ()
    if quantize and not packed:
        raise NotALanguageModel(
            f"{name}: {_WORDS[quantize]} packs none of the linear maps of {type(model).__name__}.",
            "Leave --quantize out.",
        )
    if not packed and whole:
        return "", (
            f"config.json says that the weights are in {method}; the files hold them whole",
        )
    if not packed:
        dtype = str(getattr(model, "dtype", "")).removeprefix("torch.")
        notes = [f"the checkpoint's weights are in {method} and were unpacked to {dtype}"]
        if raw["quantization_config"].get("activation_scheme"):
            notes.append(INPUTS_AS_THEY_ARE.format("inputs"))
        return f"{method}, unpacked to {dtype}", tuple(notes)
    words = _WORDS[quantize] if quantize else _bits(raw) or method
    others = _matrices(model, set(packed))
    notes = [f"{len(packed)} of {len(packed) + len(others)} matrices are packed: {words}"]
    if others:
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        notes[0] += f"; not packed: {', '.join(others[:_NAMED])}{more}"
    if any(mixes_rows(module) for module in linear.values()):
        notes.append(
            "LLM.int8 rounds inputs to 8 bits and takes large ones apart: gradients do not see the rounding"
        )
    return words, tuple(notes)


def without_rounding_kernels(model: nn.Module) -> None:
    """Let bitsandbytes multiply 4-bit weights in the number format asked for, by the same way at each run.

    On a processor with products in bfloat16 it would re-order the bytes at the first run and round inputs and
    results to bfloat16, whatever was asked for; no gradient passes that kernel.
    """
    for module in model.modules():
        if getattr(module, _CPU_KERNEL, False):
            setattr(module, _CPU_KERNEL, False)


def kernel_notes(model: nn.Module) -> tuple[str, ...]:
    """A note on a model that was not opened here and is computed by that kernel."""
    on_cpu = (
        module
        for module in model.modules()
        if getattr(module, _CPU_KERNEL, False) and module.weight.device.type == "cpu"
    )
    if next(on_cpu, None) is None:
        return ()
    return (
        "4-bit products are rounded to bfloat16 by this processor's kernel, and no gradient passes it: "
        "open_model(quantize='4bit') switches it off",
    )


def _bits(raw: Mapping[str, Any]) -> str:
    """The words for a checkpoint that bitsandbytes packed; empty for another."""
    about = raw.get("quantization_config") or {}
    if about.get("load_in_8bit"):
        return _WORDS["8bit"]
    kind = about.get("bnb_4bit_quant_type", "fp4")
    return f"4-bit {kind} (bitsandbytes)" if about.get("load_in_4bit") else ""


def _matrices(model: nn.Module, packed: set[str]) -> list[str]:
    """What is as large as a packed map and is none: other maps, and experts, which lie in one tensor."""
    found = []
    for path, module in model.named_modules():
        if path in packed or isinstance(module, nn.Embedding):
            continue
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() > 1:
                found.append(path if name == "weight" else f"{path}.{name}")
    return found


def _is_map(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    if isinstance(getattr(module, "in_features", None), int):
        return not any(True for _ in module.children())
    return type(module).__name__ == "Conv1D" and isinstance(weight, torch.Tensor)


def _said_already(record: logging.LogRecord) -> bool:
    """Not what is said at every product of every layer, and in a note of the model."""
    return "will be cast from" not in record.getMessage()
