"""What fingerprints of weights cost: of files of 15 GiB, of files that are not in the page cache, in memory.

    python -m benchmarks.fingerprints

The shape is that of a Llama of 8 billion numbers in bfloat16. The large checkpoint takes no disk (its data
are holes); the small one is written, 1.3 GiB, and dropped from the page cache.
"""

from __future__ import annotations

import json
import os
import struct
import tempfile
import time
from math import prod
from pathlib import Path

import torch

from interpboard.files import fingerprint
from interpboard.models.fingerprints import weights_of

D, FF, KV, VOCAB, LAYERS = 4096, 14336, 1024, 128256, 32
LAYER = {"q": (D, D), "k": (KV, D), "v": (KV, D), "o": (D, D), "gate": (FF, D), "up": (FF, D),
         "down": (D, FF), "norm_1": (D,), "norm_2": (D,)}  # fmt: skip
ENDS = {"embed": (VOCAB, D), "head": (VOCAB, D), "norm": (D,)}


def shapes(layers: int, ends: bool = True) -> dict[str, tuple[int, ...]]:
    """The tensors of a model of so many layers."""
    found = {f"{layer}.{name}": shape for layer in range(layers) for name, shape in LAYER.items()}
    return {**(ENDS if ends else {}), **found}


def write(path: Path, tensors: dict[str, tuple[int, ...]], dense: bool) -> float:
    """A safetensors file of bfloat16; its size in GiB."""
    at, header = 0, {}
    for name, shape in tensors.items():
        size = 2 * prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        if not dense:
            file.truncate(8 + len(raw) + at)
        else:
            block = os.urandom(1 << 24)
            for begin in range(0, at, len(block)):
                file.write(block[: at - begin])
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return at / 2**30


def main() -> None:
    """Print a line a case, and the load."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        for what, tensors, dense in (
            ("files, holes", shapes(LAYERS), False),
            ("files, not in the page cache", shapes(3, ends=False), True),
        ):
            size = write(path, tensors, dense)
            begin = time.perf_counter()
            fingerprint.of_files([path])
            print(f"| {what} | {size:.1f} | {len(tensors)} | {time.perf_counter() - begin:.2f} |")
    for layers in (4, 8):
        model = torch.nn.ParameterList(
            torch.nn.Parameter(torch.full(shape, 0.02, dtype=torch.bfloat16), requires_grad=False)
            for shape in shapes(layers).values()
        )
        size = sum(2 * p.numel() for p in model) / 2**30
        took = []
        for _ in range(5):
            begin = time.perf_counter()
            weights_of(model)
            took.append(time.perf_counter() - begin)
        print(f"| in memory | {size:.1f} | {len(model)} | {sorted(took)[2]:.2f} |")
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
