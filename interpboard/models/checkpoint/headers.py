"""What the safetensors files of a folder hold, read from their headers: names, shapes and formats.

No tensor is read and torch is not needed. The files are those that transformers would load:
``model.safetensors``, or else those that ``model.safetensors.index.json`` names; every name must stay in
the folder and end in .safetensors, so that an index cannot lead to a pickle or to another place. A link
may lead out of the folder only as the hub's cache has it, from ``snapshots/`` to ``blobs/``.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from interpboard.errors import NotALanguageModel, UnknownModel, UnsafeWeights
from interpboard.files.json_object import read_object, refuse_lfs_pointer

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
SUFFIX = ".safetensors"
_HEADER_AT_MOST = 100_000_000  # bytes; the format's own limit
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "I32": 32, "U32": 32, "I64": 64, "U64": 64,
    "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64, "F8_E4M3": 8, "F8_E5M2": 8,
    "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip


@dataclass(frozen=True)
class TensorHeader:
    """One tensor of a file: its number format (``F32``, ``BF16`` …) and its shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def is_floating(self) -> bool:
        """Whether its numbers have a fraction: what weights are made of."""
        return self.dtype.startswith(("F", "BF"))


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files that make up the model in ``folder``; empty if there are none.

    Raises ``UnsafeWeights`` for an index that leads out of the folder or to another kind of file,
    ``NotALanguageModel`` for a damaged one, ``UnknownModel`` for a file that is missing.
    """
    if (folder / SINGLE).is_file():
        return (_inside(folder, SINGLE),)
    if not (folder / INDEX).is_file():
        return ()
    index = read_object(_inside(folder, INDEX))
    placed = index.get("weight_map")
    if not isinstance(placed, dict) or not placed:
        raise NotALanguageModel(f"{folder / INDEX} has no weight_map.", "Is it damaged?")
    if not isinstance(index.get("metadata"), dict):  # transformers reads it
        raise NotALanguageModel(f"{folder / INDEX} has no metadata.", "An empty one will do: {}.")
    names = list(placed.values())
    if not all(isinstance(name, str) for name in names):
        raise NotALanguageModel(f"{folder / INDEX}: a weight_map names one file a tensor.")
    return tuple(_inside(folder, name) for name in dict.fromkeys(names))


def read_headers(files: tuple[Path, ...]) -> dict[str, TensorHeader]:
    """The tensors of ``files`` by name.

    Raises ``NotALanguageModel`` for a damaged file and for a tensor that two files hold.
    """
    found: dict[str, TensorHeader] = {}
    for file in files:
        for header in _of_file(file):
            if header.name in found:
                raise NotALanguageModel(
                    f"{header.name} is in {found[header.name].file.name} and in {file.name}.",
                    "One of the two is not of this model.",
                )
            found[header.name] = header
    return found


def not_in_index(folder: Path, tensors: dict[str, TensorHeader]) -> tuple[str, ...]:
    """Names that the folder's index promises and its files do not hold; empty without an index."""
    if (folder / SINGLE).is_file() or not (folder / INDEX).is_file():
        return ()
    return tuple(n for n in read_object(folder / INDEX)["weight_map"] if n not in tensors)


def _inside(folder: Path, name: str) -> Path:
    """``folder / name``, seen to be a plain file of the folder itself."""
    if "/" in name or "\\" in name or "\0" in name or name in ("", ".", ".."):
        raise UnsafeWeights(
            f"{folder / INDEX} names {name[:80]!r}, which is outside the folder.",
            "The files of a model lie beside its config.json.",
        )
    if not name.endswith((SUFFIX, ".json")):
        raise UnsafeWeights(
            f"{folder / INDEX} names {name[:80]!r}, which is not safetensors; loading a pickle can "
            "run code.",
            "Convert the weights to safetensors.",
        )
    path = folder / name
    if not path.is_file():
        raise UnknownModel(f"{path} is missing.", "The download is incomplete: fetch it again.")
    home, real = folder.resolve(), path.resolve()
    if real.parent != home and not _is_blob(home, real):
        raise UnsafeWeights(
            f"{path} is a link to {real}, outside the folder.",
            f"Copy the file, or give the folder {real.parent}.",
        )
    return path


def _is_blob(home: Path, real: Path) -> bool:
    """Whether ``real`` is a blob of the hub's cache that has ``home`` in one of its snapshots."""
    snapshots = [place for place in home.parents if place.name == "snapshots"]
    return any(real.parent == place.parent / "blobs" for place in snapshots)


def _of_file(path: Path) -> list[TensorHeader]:
    refuse_lfs_pointer(path)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= min(_HEADER_AT_MOST, size - 8):
                raise _damaged(path, f"it has {size} bytes and no header")
            raw = file.read(length)
    except OSError as error:
        raise UnknownModel(f"Cannot read {path}: {error.strerror}.") from error
    try:
        table = json.loads(raw)
    except (ValueError, RecursionError):
        raise _damaged(path, "its header is not JSON") from None
    if not isinstance(table, dict):
        raise _damaged(path, "its header is no table of tensors")
    table.pop("__metadata__", None)
    found = [_tensor(path, name, entry, size - 8 - length) for name, entry in table.items()]
    if not found:
        raise _damaged(path, "it holds no tensor")
    return found


def _tensor(path: Path, name: str, entry: Any, room: int) -> TensorHeader:
    try:
        dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not all(type(n) is int and n >= 0 for n in (*shape, begin, end)):
            raise ValueError("sizes are whole numbers")
        bits = prod(shape) * _BITS[dtype]
    except (KeyError, TypeError, ValueError):
        raise _damaged(path, f"the entry of {name[:80]!r} cannot be read") from None
    if not begin <= end <= room:
        raise _damaged(path, f"{name[:80]!r} ends at byte {end} of {room}: the file is cut short")
    if bits != 8 * (end - begin):
        raise _damaged(path, f"{name[:80]!r} has {end - begin} bytes, which is not its shape")
    return TensorHeader(name, dtype, tuple(shape), path)


def _damaged(path: Path, why: str) -> NotALanguageModel:
    return NotALanguageModel(f"{path} is damaged: {why}.", "Fetch the file again.")


_NUMBERED = re.compile(r"(?:^|\.)([A-Za-z_]*(?:layers?|blocks?|h))\.(\d+)\.")


def layers_in(names: tuple[str, ...]) -> int:
    """How many layers the longest numbered stack among tensor ``names`` has; 0 if none is numbered."""
    return max((int(m[2]) + 1 for name in names if (m := _NUMBERED.search(name))), default=0)


def layer_of(name: str) -> int | None:
    """The layer that a tensor's name says it belongs to."""
    found = _NUMBERED.search(name)
    return int(found[2]) if found else None
