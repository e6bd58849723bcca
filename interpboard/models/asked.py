"""What was asked of loading a model: in one form, and held against what cannot go together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from interpboard.errors import BadParameter
from interpboard.registry.loading import ADAPTER_STATES, LoadOptions

# Ways to pack whose weights stay packed in memory, on any machine.
_STAYS_PACKED = ("bitsandbytes", "torchao", "gptq", "awq", "compressed-tensors")
_NO_DISK = "Leave disk out of --device-map, or give more --max-memory."


def mapped(device_map: str | Mapping[str, Any] | None) -> str:
    """A device map as ``LoadOptions`` keeps it."""
    if device_map is None or isinstance(device_map, str):
        return device_map or ""
    return json.dumps({str(module): str(where) for module, where in device_map.items()})


def adapter_names(adapters: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    """One adapter or several, as ``LoadOptions`` keeps them."""
    given = (adapters,) if isinstance(adapters, (str, Path)) else tuple(adapters)
    return tuple(str(place) for place in given if str(place))


def check_options(options: LoadOptions) -> None:
    """Raise ``BadParameter`` for what can be said before anything is looked for."""
    if options.adapter_state not in ADAPTER_STATES:
        raise BadParameter(
            f"An adapter cannot be {options.adapter_state!r}.",
            f"There are: {', '.join(ADAPTER_STATES)}.",
        )
    if options.gguf_file and options.quantize:
        raise BadParameter(
            "The weights of a GGUF file are packed already, and unpacked here.",
            "Open it without --quantize.",
        )


def refuse_on_disk(
    places: Any, options: LoadOptions, method: str, *, pickled: bool, name: str
) -> None:
    """Raise ``BadParameter`` for weights that cannot lie on disk, where ``places`` puts any there.

    ``places``: a device for each module, or a word. ``method``: how the checkpoint is packed, empty if it is
    not. ``pickled``: it is no safetensors.
    """
    if not isinstance(places, Mapping) or "disk" not in places.values():
        return
    packed = options.quantize or (method if method in _STAYS_PACKED else "")
    if packed:
        raise BadParameter(f"{name}: weights packed in {packed} cannot lie on disk.", _NO_DISK)
    if options.gguf_file:
        raise BadParameter(
            f"{name}: a GGUF file is unpacked into memory, and cannot lie on disk.", _NO_DISK
        )
    if options.adapters and options.adapter_state == "merged":
        raise BadParameter(
            f"{name}: an adapter cannot be merged into weights on disk.", "Use --adapter-state on."
        )
    if pickled and not options.offload_folder:
        raise BadParameter(
            f"{name}: what goes to disk of weights that are no safetensors is written there anew.",
            "Say where: --offload-folder FOLDER.",
        )
