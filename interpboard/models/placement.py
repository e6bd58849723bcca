"""Where a model goes and in which number format: devices and dtypes by name, checked to exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from interpboard.display import spoken_bytes
from interpboard.errors import BadDevice
from interpboard.models.main_memory import COMFORTABLE, free_bytes
from interpboard.models.memory import out_of_memory

_DTYPES = {
    "float64": torch.float64, "fp64": torch.float64,
    "float32": torch.float32, "fp32": torch.float32,
    "float16": torch.float16, "fp16": torch.float16,
    "bfloat16": torch.bfloat16, "bf16": torch.bfloat16,
}  # fmt: skip

_PACKED = "packed"  # of no format that could be computed with
_OWN = {"BF16": torch.bfloat16, "F16": torch.float16}
# What was in fewer bits is unpacked into as many as there is room for.
_FINER = {"F64": "float64", "F32": "float32", "F16": "float16"}  # than bfloat16
_HALF = _OWN | dict.fromkeys((_PACKED, "F8_E4M3", "F8_E5M2"), torch.bfloat16)


def choose_device(device: str) -> torch.device:
    """``auto`` or a device by name, checked to exist. Raises ``BadDevice``."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        several = "Only analyze takes several." if "," in device else "Use auto, cpu, cuda or mps."
        raise BadDevice(f"No device is called {device!r}.", several) from None
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise BadDevice(
            f"This machine has {torch.cuda.device_count()} CUDA devices, {device!r} is not there.",
            "Use --device cpu.",
        )
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise BadDevice("This machine has no MPS device.", "Use --device cpu.")
    if chosen.type not in ("cpu", "cuda", "mps"):
        raise BadDevice(f"Device {device!r} is not supported.", "Use auto, cpu, cuda or mps.")
    return chosen


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """``auto`` or a number format by name. Raises ``BadDevice``."""
    if dtype == "auto":
        return torch.bfloat16 if _computes_in_bfloat16(device) else torch.float32
    name = dtype.removeprefix("torch.")
    if name not in _DTYPES:
        raise BadDevice(
            f"No number format is called {dtype!r}.", "Use auto, float32, bfloat16 or float16."
        )
    if device.type == "mps" and name in ("float64", "fp64"):
        raise BadDevice("MPS has no float64.", "Use --device cpu for it.")
    return _DTYPES[name]


def _computes_in_bfloat16(device: torch.device) -> bool:
    """Whether this GPU does, and not only by way of float32, as those before 2020."""
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):
        return torch.cuda.is_bf16_supported(including_emulation=False)


def narrow_dtype(
    chosen: torch.dtype, device: torch.device, numbers: Mapping[str, int]
) -> tuple[torch.dtype, str]:
    """``chosen``, or the checkpoint's own half-precision format where ``chosen`` would not fit comfortably in
    main memory; and a note that says so, or that ``chosen`` rounds the checkpoint's numbers; else empty.

    ``numbers``: how many the checkpoint holds by format of safetensors, or
    ``packed``.
    """
    most = max(numbers, key=lambda name: numbers[name], default="")
    if device.type == "cuda" and chosen == torch.bfloat16 and most in _FINER:
        return chosen, (
            f"opened in bfloat16: the checkpoint is in {_FINER[most]}, and its weights are rounded "
            f"(--dtype {_FINER[most]} to have them as they are)"
        )
    room = free_bytes()
    if device.type != "cpu" or chosen != torch.float32 or room is None or not numbers:
        return chosen, ""
    needed = 4 * sum(numbers.values())
    half = _HALF.get(most)
    if half is None or needed <= COMFORTABLE * room:
        return chosen, ""
    name = str(half).removeprefix("torch.")
    return half, (
        f"opened in {name}{', as the checkpoint is' * (most in _OWN)}: in float32 it would take "
        f"{spoken_bytes(needed)}, and {spoken_bytes(room)} are free (--dtype float32 to have it so)"
    )


def move(model: Any, device: torch.device) -> Any:
    """``model`` on ``device``; raises ``BadDevice`` if it does not fit there."""
    try:
        return model.to(device)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        needed = sum(p.numel() * p.element_size() for p in model.parameters())
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
        raise BadDevice(
            f"The model needs {spoken_bytes(needed)}, {device} has {spoken_bytes(free)} free.",
            "Use --dtype bfloat16, another device, or device_map='auto'.",
        ) from error
