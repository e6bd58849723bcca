"""What a folder holds that can be opened as a model: weights, an adapter, GGUF files; how large, how packed.

Reads configurations and the headers of weight files, nothing else: no number of a weight, and no torch.
"""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_LONGEST_HEADER = 100_000_000  # what the format allows
_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "F8_E4M3": "fp8", "F8_E5M2": "fp8",
}  # fmt: skip
_UNPACKED = ("fp8", "mxfp4")  # opened in the number format that is asked for
ADAPTER_FILE = "adapter_config.json"


@dataclass(frozen=True)
class FoundModel:
    """A model: the name that opens it, where it lies, its family, how many parameters (0: unknown).

    ``dtype``: the number format of its files; ``packed``: how they are quantised, in words; ``size``: bytes
    that packed weights take as they are (0: they are unpacked, or not packed). ``base``: what an adapter is
    put on. ``gguf_file``: in the folder ``name``.
    """

    name: str
    where: str
    family: str = ""
    parameters: int = 0
    problem: str = ""
    dtype: str = ""
    packed: str = ""
    size: int = 0
    base: str = ""
    gguf_file: str = ""

    @property
    def is_what(self) -> str:
        """``bfloat16``, ``gptq 4-bit``, ``adapter of gpt2``: what lies there, in words; empty: not known."""
        if self.base:
            return f"adapter of {self.base}"
        return self.packed or self.dtype


def parameters(weights: Iterable[Path]) -> int:
    """Numbers in safetensors files, from their headers alone. Raises ``OSError``, ``ValueError``."""
    return sum(math.prod(shape) for _dtype, shape in _tensors(weights))


def look(folder: Path | None, name: str, where: str) -> FoundModel | None:
    """The model in ``folder``; None if its configuration is not one of a model."""
    if folder is None:
        return None
    config = _json(folder / "config.json")
    family = config.get("model_type")
    if not isinstance(family, str):
        return _adapter(folder, name, where)
    # Some folders hold the same weights twice, under another program's names too.
    every = sorted(folder.glob("*.safetensors"))
    weights = [path for path in every if path.name.startswith("model")] or every
    if not weights:
        return FoundModel(name, where, family, problem="no safetensors")
    try:
        formats: Counter[str] = Counter()
        for dtype, shape in _tensors(weights):
            formats[dtype] += math.prod(shape)
        size = sum(path.stat().st_size for path in weights)
    except (OSError, ValueError, KeyError, TypeError):
        return FoundModel(name, where, family, problem="damaged weights")
    packed = _packed(config)
    kept = bool(packed) and not packed.startswith(_UNPACKED)
    most = _DTYPES.get(max(formats, key=lambda dtype: formats[dtype]), "") if formats else ""
    return FoundModel(
        name, where, family, formats.total(),
        dtype="" if packed else most, packed=packed, size=size if kept else 0,
    )  # fmt: skip


def gguf_files(folder: Path, where: str) -> list[FoundModel]:
    """A row for each GGUF file in ``folder``."""
    found = []
    for path in sorted(folder.glob("*.gguf")):
        try:
            with path.open("rb") as file:
                family, count, packed = _gguf(file)
        except (OSError, ValueError, struct.error):
            problem = "damaged GGUF"
            found.append(FoundModel(str(folder), where, problem=problem, gguf_file=path.name))
            continue
        found.append(
            FoundModel(str(folder), where, family, count, packed=packed, gguf_file=path.name)
        )
    return found


def _adapter(folder: Path, name: str, where: str) -> FoundModel | None:
    about = _json(folder / ADAPTER_FILE)
    if not about:
        return None
    base = about.get("base_model_name_or_path")
    kind = str(about.get("peft_type") or "adapter").lower()
    base = base if isinstance(base, str) and base else "a base that it does not name"
    if not any((folder / name).is_file() for name in ("adapter_model.safetensors",)):
        return FoundModel(name, where, kind, problem="no safetensors", base=base)
    return FoundModel(name, where, kind, base=base)


def _json(path: Path) -> dict[str, Any]:
    """What the file says; empty where there is none, or something else in it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _packed(config: dict[str, Any]) -> str:
    """``gptq 4-bit``, ``fp8``; empty: not quantised."""
    about = config.get("quantization_config")
    if not isinstance(about, dict):
        return ""
    method = str(about.get("quant_method") or "bitsandbytes")
    bits = about.get("bits") or about.get("w_bit")
    if about.get("load_in_4bit") or about.get("_load_in_4bit"):
        bits = 4
    elif about.get("load_in_8bit") or about.get("_load_in_8bit"):
        bits = 8
    return f"{method[:20]} {bits}-bit" if isinstance(bits, int) else method[:20]


def _tensors(weights: Iterable[Path]) -> Iterator[tuple[str, list[int]]]:
    """Number format and shape of every tensor in safetensors files."""
    for path in weights:
        with path.open("rb") as file:
            size = struct.unpack("<Q", file.read(8))[0] if path.stat().st_size >= 8 else 0
            if not 0 < size <= _LONGEST_HEADER:
                raise ValueError(f"{path.name} is no safetensors file")
            header = json.loads(file.read(size))
        if not isinstance(header, dict):
            raise ValueError(f"{path.name} is no safetensors file")  # noqa: TRY004 - bad data
        for name, about in header.items():
            if name != "__metadata__":
                yield about["dtype"], about["shape"]


# -- GGUF: magic, version, counts, pairs of a name and a typed value, then the tensors ------------------

_PLAIN = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes by type
_TEXT, _ARRAY = 8, 9
_MOST_ITEMS = 2_000_000
_KINDS = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K",
    11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 30: "BF16",
}  # fmt: skip


def _gguf(file: BinaryIO) -> tuple[str, int, str]:
    """Family, parameters, and how most of them are packed. Raises ``ValueError``, ``struct.error``."""
    if file.read(4) != b"GGUF":
        raise ValueError("no GGUF file")
    _version, tensors, pairs = struct.unpack("<IQQ", file.read(20))
    if max(tensors, pairs) > _MOST_ITEMS:
        raise ValueError("no GGUF file")
    family = ""
    for _ in range(pairs):
        key = _text(file)
        value = _value(file, struct.unpack("<I", file.read(4))[0])
        if key == "general.architecture" and isinstance(value, str):
            family = value
    kinds: Counter[str] = Counter()
    for _ in range(tensors):
        _text(file)
        (dims,) = struct.unpack("<I", file.read(4))
        if dims > 8:
            raise ValueError("no GGUF file")
        shape = struct.unpack(f"<{dims}Q", file.read(8 * dims))
        kind, _offset = struct.unpack("<IQ", file.read(12))
        kinds[_KINDS.get(kind, "packed")] += math.prod(shape)
    most = max(kinds, key=lambda kind: kinds[kind]) if kinds else ""
    return family, kinds.total(), f"GGUF {most}".strip()


def _text(file: BinaryIO) -> str:
    (size,) = struct.unpack("<Q", file.read(8))
    if size > _LONGEST_HEADER:
        raise ValueError("no GGUF file")
    return file.read(size).decode("utf-8", "replace")


def _value(file: BinaryIO, kind: int) -> str | None:
    """A text; of everything else only its place is passed."""
    if kind == _TEXT:
        return _text(file)
    if kind == _ARRAY:
        inner, count = struct.unpack("<IQ", file.read(12))
        if count > _MOST_ITEMS:
            raise ValueError("no GGUF file")
        if inner in _PLAIN:
            file.seek(count * _PLAIN[inner], 1)
        else:
            for _ in range(count):
                _value(file, inner)
    elif kind in _PLAIN:
        file.seek(_PLAIN[kind], 1)
    else:
        raise ValueError("no GGUF file")
    return None
