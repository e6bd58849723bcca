"""Folders with a tiny model, and the ways in which tests damage them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from interpboard.errors import InterpBoardError
from interpboard.models.load import load_model_and_tokenizer
from tests.tiny import save_tiny

Weights = dict[str, torch.Tensor]
LFS_POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 548105171\n"
IDS = torch.arange(8)[None] + 20
SHARD = "model-00001-of-00001.safetensors"


@lru_cache(maxsize=8)
def saved(family: str) -> Path:
    """A folder with the tiny model of ``family``, made once; copy it before it is changed."""
    return save_tiny(Path(mkdtemp()) / family, family)


def copied(family: str, to: Path) -> Path:
    """A folder of its own with the same model."""
    return Path(shutil.copytree(saved(family), to / family))


def edit_json(path: Path, **changes: Any) -> None:
    """Set entries of the JSON object in ``path``."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(folder: Path, edit: Callable[[Weights], Weights | None]) -> None:
    """Change the weights in ``folder``, in place or by returning others."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    save_file(edit(weights) or weights, path, {"format": "pt"})


def add(folder: Path, **tensors: torch.Tensor) -> None:
    """Put more tensors into the file; a dot in a name is written ``__``."""
    edit_weights(folder, lambda w: w | {k.replace("__", "."): t for k, t in tensors.items()})


def with_index(folder: Path, placed: Any) -> None:
    """Rename the weights to a shard, and write an index with the weight_map ``placed``."""
    (folder / "model.safetensors").rename(folder / SHARD)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": placed})
    )


def logits(model: torch.nn.Module) -> torch.Tensor:
    """[row, position, d_vocab] of ``IDS``."""
    with torch.no_grad():
        return model(input_ids=IDS).logits


def refused(folder: Path, **options: bool) -> str:
    """What opening ``folder`` is refused with, in one line."""
    with pytest.raises(InterpBoardError) as caught:
        load_model_and_tokenizer(folder, "cpu", **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
