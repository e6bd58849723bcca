"""A GGUF file looked at before transformers reads it: what it is of, and whether all of it is used.

transformers unpacks its blocks into the number format asked for and skips, without a word, tensors that it
has no name for. Here every tensor of the file is counted: the numbers in it must be those of the model.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import torch

from interpboard.errors import NotALanguageModel
from interpboard.files.json_object import refuse_lfs_pointer
from interpboard.models.checkpoint.foreign import foreign
from interpboard.models.libraries import require_library

# What llama.cpp computes rotary tables from, and transformers from its configuration.
_NOT_WEIGHTS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")


class GgufFile:
    """The header of a GGUF file: its architecture, tensors and their formats."""

    def __init__(self, path: Path, name: str) -> None:
        """Read it; raises ``NotALanguageModel`` for what is none, ``MissingPackage`` without the library."""
        require_library("gguf", f"The GGUF file {path.name}")
        from gguf import GGUFReader

        refuse_lfs_pointer(path)
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise NotALanguageModel(f"{path} is no GGUF file.", "Does it begin with GGUF?")
        with foreign("GGUF file", name, path.parent):
            reader = GGUFReader(path)
            self.architecture = _text(reader, "general.architecture")
            self.shapes = {
                tensor.name: tuple(int(n) for n in reversed(tensor.shape))
                for tensor in reader.tensors
            }
            self.kinds = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
        self.path, self.name = path, name
        if not self.architecture or not self.shapes:
            raise NotALanguageModel(f"{path} names no architecture or holds no tensor.")

    @property
    def words(self) -> str:
        """Its number formats, the most frequent first."""
        counts = Counter(self.kinds.values()).most_common(4)
        return ", ".join(f"{name} ×{count}" for name, count in counts)

    @property
    def numbers(self) -> dict[str, int]:
        """How many numbers it holds by format, ``packed`` where they lie in blocks."""
        found: Counter[str] = Counter()
        for name, shape in self.shapes.items():
            kind = self.kinds[name]
            found[kind if kind in ("F32", "F16", "BF16") else "packed"] += _numbers(shape)
        return dict(found)

    def said(self, dtype: torch.dtype) -> tuple[str, tuple[str, ...]]:
        """What the weights were unpacked from, and the note on it."""
        into = str(dtype).removeprefix("torch.")
        note = f"the weights of the GGUF file ({self.words}) were unpacked to {into}"
        return f"GGUF, unpacked to {into}", (note,)

    def check_loaded(self, model: Any) -> None:
        """Raise ``NotALanguageModel`` unless the model has as many numbers as the file."""
        there = sum(_numbers(shape) for n, shape in self.shapes.items() if n not in _NOT_WEIGHTS)
        counts = {id(p): p.numel() for p in model.parameters()}
        tied = model.get_output_embeddings() is not None and (
            model.get_output_embeddings().weight is model.get_input_embeddings().weight
        )
        # A tied unembedding may be in the file all the same.
        if tied and "output.weight" in self.shapes:
            there -= _numbers(self.shapes["output.weight"])
        wanted = sum(counts.values())
        if there != wanted:
            raise NotALanguageModel(
                f"{self.name}: the GGUF file holds {there} numbers ({self.architecture}), and "
                f"{type(model).__name__} has {wanted}.",
                "This transformers does not read all of it.",
            )


def _numbers(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _text(reader: Any, key: str) -> str:
    field = reader.fields.get(key)
    return bytes(field.parts[field.data[0]]).decode("utf-8", "replace") if field is not None else ""
