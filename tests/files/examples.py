"""A small file of max-activating examples, made by hand: two layers, three neurons, two ranks."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from safetensors.numpy import save_file

from interpboard.results.examples import EXAMPLES_SCHEMA, KEY, ExamplesInfo, ExamplesMetadata

INFO = ExamplesInfo(
    schema=EXAMPLES_SCHEMA, model="tiny", dtype="float32", corpus="texts", files=(("a.txt", 100),),
    layers=(0, 1), top_k=2, length=8, batch=2, before=1, after=1, tokens=40,
)  # fmt: skip


def examples_file(path: Path, info: ExamplesInfo = INFO) -> Path:
    """Write it; neuron n of either layer peaks at n + 1 and n + 0.5, on token 1 between 0 and 2."""
    tensors = {}
    for layer in info.layers:
        peaks = np.arange(3, dtype=np.float32)[:, None] + np.array([1.0, 0.5], np.float32)
        tensors[f"{layer}.activation"] = peaks
        tensors[f"{layer}.context"] = np.tile(np.arange(3, dtype=np.int32), (3, 2, 1))
        tensors[f"{layer}.place"] = np.tile(np.array([0, 7]), (3, 2, 1))
        tensors[f"{layer}.positive"] = np.array([4, 20, 40])
    said = ExamplesMetadata(info, {0: "The", 1: " keys", 2: " are"})
    save_file(tensors, path, metadata={KEY: msgspec.json.encode(said).decode()})
    return path
