"""Models divided over devices: what goes where, by accelerate, and where a module then computes.

A module whose weights are on disk has none but while it runs, so where it computes is not where its weight
is: accelerate's hook knows.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from interpboard.errors import BadDevice, BadParameter
from interpboard.models.libraries import require_library
from interpboard.models.placement import choose_device

ANOTHER_MAP = "Is --device-map right? It names each module once, with what is in it."
DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(KiB|MiB|GiB|KB|MB|GB)", re.IGNORECASE)
_UNITS = {"kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}


def device_of(module: nn.Module) -> torch.device:
    """Where ``module`` computes."""
    where = moved_to(module)
    if where is not None:
        return where
    weight = next(module.parameters(), None)
    return torch.device("cpu") if weight is None else weight.device


def moved_to(module: nn.Module) -> torch.device | None:
    """Where a hook of accelerate's moves what ``module`` is given; None where there is no such hook."""
    hook = getattr(module, "_hf_hook", None)
    for each in getattr(hook, "hooks", (hook,)):
        where = getattr(each, "execution_device", None)
        if where is not None:
            return torch.device(where if not isinstance(where, int) else f"cuda:{where}")
    return None


def held(module: nn.Module, name: str) -> torch.Tensor | None:
    """The parameter ``name`` of ``module`` where it computes, read from disk if it lies there."""
    parameter: torch.Tensor | None = getattr(module, name, None)
    if parameter is None or not parameter.is_meta:
        return parameter
    hook = getattr(module, "_hf_hook", None)
    for each in getattr(hook, "hooks", (hook,)):
        stored = getattr(each, "weights_map", None)
        if stored is not None:
            found: torch.Tensor = stored[name]
            return found.to(device_of(module))
    return parameter


def division(device_map: str, max_memory: str, offload_folder: str) -> dict[str, Any]:
    """What transformers is told, from the words of the options. Nothing where nothing was asked.

    Raises ``BadParameter``, ``BadDevice`` for a device that is not there, ``MissingPackage``.
    """
    if not device_map:
        if max_memory or offload_folder:
            raise BadParameter(
                "Memory is divided where the model is.", "Add --device-map auto, or a file."
            )
        return {}
    require_library("division", "--device-map")
    if offload_folder and Path(offload_folder).exists() and not Path(offload_folder).is_dir():
        raise BadParameter(f"--offload-folder {offload_folder[:80]} is no folder.", "Name one.")
    found: dict[str, Any] = {"device_map": _map(device_map)}
    if max_memory:
        found["max_memory"] = _memory(max_memory)
    if offload_folder:
        found["offload_folder"] = offload_folder
    elif isinstance(found["device_map"], dict) and "disk" in found["device_map"].values():
        # Safetensors are read where they are: nothing is written there.
        found["offload_folder"] = str(Path.cwd())
    return found


def _map(asked: str) -> str | dict[str, Any]:
    if asked in DEVICE_MAPS:
        return asked
    inline = asked.lstrip().startswith("{")
    try:
        text = asked if inline else Path(asked).read_text(encoding="utf-8-sig")
        given = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadParameter(
            f"--device-map {asked[:60]!r} cannot be read: {reason}.",
            f'It is {", ".join(DEVICE_MAPS)}, or a JSON file: {{"model.layers.0": "cuda:0"}}.',
        ) from None
    if not isinstance(given, Mapping) or not given:
        raise BadParameter(f"--device-map {asked[:60]!r} names no modules.", 'E.g. {"": "cuda:0"}.')
    found = {str(module): _device(where) for module, where in given.items()}
    _refuse_nested(found)
    return found


def _device(where: Any) -> Any:
    if where == "disk":
        return where
    try:
        device = torch.device(f"cuda:{where}" if isinstance(where, int) else str(where))
    except RuntimeError:
        raise BadDevice(f"No device is called {where!r}.", "Use cuda:0, cpu or disk.") from None
    return str(choose_device(str(device)))


def _refuse_nested(places: Mapping[str, str]) -> None:
    """Raise ``BadParameter`` for a module in one that goes elsewhere, one of the two on disk: accelerate
    would look for its weights in both places."""
    for outer, where in places.items():
        for inner, there in places.items():
            within = inner != outer and (not outer or inner.startswith(f"{outer}."))
            if within and where != there and "disk" in (where, there):
                raise BadParameter(
                    f"--device-map puts {inner} on {there}, and {outer or 'all of the model'} around it on "
                    f"{where}.",
                    "Name each module once.",
                )


def refuse_other_modules(model: nn.Module, asked: Any) -> None:
    """Raise ``BadParameter`` for a name in the map ``asked`` that is none of the model's modules or weights:
    it would be passed over."""
    if not isinstance(asked, Mapping):
        return
    there = {name for name, _ in (*model.named_modules(), *model.named_parameters())}
    others = [name for name in asked if name not in there]
    if others:
        has = ", ".join(name for name, _ in model.named_children())
        raise BadParameter(
            f"--device-map names {others[0][:60]!r}, and {type(model).__name__} has no such module.",
            f"It has {has[:300]}.",
        )


def _memory(asked: str) -> dict[Any, int]:
    """``0=20GiB,cpu=48GiB`` as bytes by device."""
    found: dict[Any, int] = {}
    for part in asked.split(","):
        name, equals, size = part.partition("=")
        amount = _SIZE.fullmatch(size.strip())
        name = name.strip().removeprefix("cuda:")
        if not (equals and amount and (name.isdigit() or name == "cpu")):
            raise BadParameter(
                f"--max-memory {part.strip()[:40]!r} is no device with a size.",
                "E.g. 0=20GiB,cpu=48GiB.",
            )
        key: Any = int(name) if name.isdigit() else name
        if isinstance(key, int) and key >= torch.cuda.device_count():
            raise BadDevice(
                f"This machine has {torch.cuda.device_count()} CUDA devices, {key} is not there."
            )
        if key in found:
            raise BadParameter(f"--max-memory names {name} twice.", "Name each device once.")
        found[key] = int(float(amount[1]) * _UNITS[amount[2].lower()])
    return found


def division_note(model: nn.Module) -> str:
    """``divided: 20 modules on cuda:0, 4 on cpu, 8 on disk``; empty where it is in one place."""
    placed = getattr(model, "hf_device_map", None) or {}
    counted = Counter(
        f"cuda:{where}" if isinstance(where, int) else str(where) for where in placed.values()
    )
    if len(counted) < 2 and "disk" not in counted:
        return ""
    parts = [f"{count} on {where}" for where, count in counted.items()]
    return f"divided, in modules: {', '.join(parts)}"
