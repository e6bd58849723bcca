"""Tensors and what they are of in one safetensors file: whole or not at all, read or refused in words."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from interpboard.errors import BadParameter
from interpboard.files import atomic

# All that safetensors, and torch below it, raise for a file that is not what its header says.
_DAMAGE = (SafetensorError, ValueError, TypeError, KeyError, AttributeError, RuntimeError)


def save_tensors(
    path: Path,
    tensors: dict[str, torch.Tensor],
    metadata: dict[str, str] | None = None,
    *,
    mode: int | None = None,
) -> None:
    """Write safetensors so that ``path`` is always a whole file, also if the machine stops meanwhile.

    ``mode`` as in ``files.atomic``. Raises ``BadParameter`` where it cannot be written.
    """
    try:
        with atomic.replacing(path, mode=mode) as beside:
            save_file(tensors, beside, metadata=metadata)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or error
        raise BadParameter(f"Cannot write {path}: {why}.", "Name another place.") from error


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors of ``path`` by name, on the CPU, and the metadata. Raises ``BadParameter``."""
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except FileNotFoundError as error:
        raise BadParameter(f"There is no file {path}.", "Check the name.") from error
    except OSError as error:
        raise BadParameter(f"Cannot read {path}: {error.strerror or error}.") from error
    except _DAMAGE as error:
        raise BadParameter(f"{path} is damaged: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
