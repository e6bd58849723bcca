"""What an artefact was made from: short texts that say whether weights, tokenizer and text are the same.

**Weights** have up to two fingerprints, joined by a space, because a model is met in two forms:

- ``files:LAYOUT.SAMPLE`` of a checkpoint: names, number formats and shapes of all tensors of its safetensors
  files, and some of the bytes of each. It reads some megabytes, whatever the size.
- ``numbers:NAMES.SAMPLE`` of a model in memory: names and shapes of its parameters, and some numbers of each
  as bfloat16 holds them: so a checkpoint opened in float64, float32 or bfloat16 gives the same. Where
  numbers were rounded to float16 on the way it begins with ``numbers-float16:``, and says nothing beside one
  that was not, for rounding twice may end elsewhere.

A model that was opened from a folder has both, one that was handed over has the second. ``compare`` says how
they stand to each other: where both know the same form, that decides; a checkpoint saved again in other
shards is the same, in another number format it is compared by its numbers.

What they can miss: samples look at every tensor, in memory at every row and every column of it, in files at
up to eight blocks of it. A change of single numbers between those places is not seen, nor one so small that
bfloat16 rounds it away at all of them; a step of training is seen, and so is a head, neuron or token that was
set to zero. They tell honest mistakes apart and are no defence against somebody who wants to deceive.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

BLOCK = 4096  # bytes
BLOCKS = 8  # of a tensor, at most
READS = 8192  # of a checkpoint, or one a tensor if it has more
LONGEST_HEADER = 100_000_000  # what the format allows
_CHUNK = 1 << 22
# What a tokenizer's caller changes without changing what a text becomes.
_NOT_OF_THE_TEXT = ("version", "truncation", "padding")


class FingerprintMatch(Enum):
    """How two fingerprints stand to each other; ``unknown``: one is missing or they cannot be compared."""

    same = "same"
    other = "other"
    unknown = "unknown"


class Sampled(NamedTuple):
    """A tensor in memory: ``kind`` of its numbers, ``sample`` of them as bytes."""

    name: str
    shape: tuple[int, ...]
    kind: str
    sample: bytes


def of_files(paths: Iterable[Path]) -> str:
    """``files:…`` of the safetensors files that are one checkpoint. Raises ``OSError``, ``ValueError``."""
    places: list[tuple[str, str, tuple[int, ...], Path, int, int]] = []
    for path in paths:
        start, header = _header(path)
        for name, about in header.items():
            begin, end = about["data_offsets"]
            shape = tuple(about["shape"])
            places.append((name, about["dtype"], shape, path, start + begin, end - begin))
    places.sort(key=lambda place: place[:3])
    if not places:
        return ""
    layout, sample = _hash(), _hash()
    blocks = max(1, min(BLOCKS, READS // len(places)))
    for name, dtype, shape, path, begin, size in places:
        layout.update(f"{name}\0{dtype}\0{shape}\n".encode())
        with open(path, "rb") as file:
            for offset in _offsets(size, blocks):
                sample.update(os.pread(file.fileno(), min(BLOCK, size - offset), begin + offset))
    return f"files:{layout.hexdigest()}.{sample.hexdigest()}"


def of_numbers(tensors: Iterable[Sampled], *, float16: bool = False) -> str:
    """``numbers:…`` of what ``interpboard.models.fingerprints`` took of a model in memory."""
    names, sample = _hash(), _hash()
    for tensor in tensors:
        names.update(f"{tensor.name}\0{tensor.kind}\0{tensor.shape}\n".encode())
        sample.update(tensor.sample)
    return f"numbers{'-float16' if float16 else ''}:{names.hexdigest()}.{sample.hexdigest()}"


def of_tokenizer(serialised: str) -> str:
    """Of a fast tokenizer's backend as JSON: vocabulary, merges, special tokens, normaliser, all of it.

    Truncation and padding, which callers switch on and off, are left out. Raises ``ValueError``.
    """
    parts = msgspec.json.decode(serialised, type=dict[str, msgspec.Raw])
    digest = _hash()
    for name in sorted(parts.keys() - set(_NOT_OF_THE_TEXT)):
        digest.update(name.encode() + b"\0" + bytes(parts[name]) + b"\n")
    return digest.hexdigest()


def of_text(files: Iterable[Path], check: Callable[[], None] = lambda: None) -> str:
    """Of the bytes of ``files``, all of them, in their order; ``check`` is called between pieces.

    Raises ``OSError``.
    """
    whole = _hash()
    for path in files:
        digest = _hash()
        with open(path, "rb") as file:
            while piece := file.read(_CHUNK):
                check()
                digest.update(piece)
        whole.update(digest.digest())
    return whole.hexdigest()


def joined(*parts: str) -> str:
    """The fingerprints of the same weights in several forms as one text."""
    return " ".join(part for part in parts if part)


def compare(one: str, other: str) -> FingerprintMatch:
    """Whether two fingerprints, of weights or of anything else, are of the same."""
    if not one or not other:
        return FingerprintMatch.unknown
    if one == other:
        return FingerprintMatch.same
    forms, others = _forms(one), _forms(other)
    if not forms or not others:  # of a tokenizer or a text
        return FingerprintMatch.other
    matches = [
        match
        for match in (_files(forms, others), _numbers(forms, others))
        if match is not FingerprintMatch.unknown
    ]
    if FingerprintMatch.other in matches:
        return FingerprintMatch.other
    if matches:
        return FingerprintMatch.same
    # Nothing in common that could be laid side by side: parameters of other names are another model.
    structures = [
        {_head(value) for form, value in each.items() if form != "files"}
        for each in (forms, others)
    ]
    return (
        FingerprintMatch.other
        if all(structures) and structures[0].isdisjoint(structures[1])
        else FingerprintMatch.unknown
    )


def _files(one: Mapping[str, str], other: Mapping[str, str]) -> FingerprintMatch:
    """By the bytes, where the tensors of both checkpoints are laid out alike."""
    a, b = one.get("files", ""), other.get("files", "")
    if not a or not b or _head(a) != _head(b):
        return FingerprintMatch.unknown
    return FingerprintMatch.same if a == b else FingerprintMatch.other


def _numbers(one: Mapping[str, str], other: Mapping[str, str]) -> FingerprintMatch:
    """By the numbers, where the parameters of both have the same names."""
    names = ("numbers", "numbers-float16")
    a, b = (next((f for f in names if f in each), "") for each in (one, other))
    if not a or not b or _head(one[a]) != _head(other[b]):
        return FingerprintMatch.unknown
    if one[a] == other[b]:
        return FingerprintMatch.same
    return FingerprintMatch.other if a == b else FingerprintMatch.unknown


def _forms(text: str) -> dict[str, str]:
    pairs = (part.partition(":") for part in text.split())
    return {form: value for form, colon, value in pairs if colon}


def _head(value: str) -> str:
    return value.partition(".")[0]


def _header(path: Path) -> tuple[int, dict[str, Any]]:
    """Where the tensors of a safetensors file begin, and what each is."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
        if not 0 < length <= min(LONGEST_HEADER, size - 8):
            raise ValueError(f"{path} is no safetensors file")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError(f"{path} is no safetensors file")  # noqa: TRY004 - bad data
    tensors = {name: about for name, about in header.items() if name != "__metadata__"}
    if not all(_is_tensor(about) for about in tensors.values()):
        raise ValueError(f"{path} is no safetensors file")
    return 8 + length, tensors


def _is_tensor(about: Any) -> bool:
    if not isinstance(about, dict) or not isinstance(about.get("dtype"), str):
        return False
    shape, ends = about.get("shape"), about.get("data_offsets")
    whole = [*shape, *ends] if isinstance(shape, list) and isinstance(ends, list) else [None]
    return (
        all(type(number) is int and number >= 0 for number in whole)
        and isinstance(ends, list)
        and len(ends) == 2
        and ends[0] <= ends[1]
    )


def _offsets(size: int, blocks: int) -> Sequence[int]:
    """Where blocks begin: the first and the last, the others at equal distances between them."""
    if size <= BLOCK * blocks:
        return range(0, size, BLOCK)
    if blocks == 1:
        return (0,)
    return [math.floor(i * (size - BLOCK) / (blocks - 1)) for i in range(blocks)]


def _hash() -> Any:
    return hashlib.blake2b(digest_size=8)
