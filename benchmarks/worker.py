"""One engine in a process of its own: a line of JSON in, a line of JSON out.

    python -m benchmarks.worker ENGINE MODEL DEVICE DTYPE THREADS

Each line names a method and its arguments; the answer has ``values``, ``seconds`` and ``peak`` (bytes
that the process, or the GPU, took at most above what it held with the model loaded).
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.lines import versions
from benchmarks.sizes import built


def main() -> None:
    """Serve until the other side closes."""
    name, size, device, dtype, threads = sys.argv[1:]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to the log
    torch.set_num_threads(int(threads))
    module = importlib.import_module(f"benchmarks.engines.{name}")
    if hasattr(module, "before_weights"):
        module.before_weights()
    model = built(size, device, dtype)
    engine = module.Engine(model)
    if hasattr(engine, "head_grid"):
        engine.head_grid([1, 2, 3, 4], 5)  # whatever is built on first use is built

    def answer(found: dict[str, Any]) -> None:
        print(json.dumps(found), file=out, flush=True)

    answer({"versions": versions(), "vocabulary": model.config.vocab_size})
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "clean_top":
            ids = torch.tensor([asked["ids"]], device=device)
            with torch.no_grad():
                answer({"values": int(model(input_ids=ids).logits[0, -1].argmax())})
            continue
        if asked["do"] == "rate":
            answer({"values": _rate(model, device)})
            continue
        if "noise" in asked:
            asked["noise"] = np.load(asked["noise"])
        if "cells" in asked and asked["cells"] is not None:
            asked["cells"] = [tuple(cell) for cell in asked["cells"]]
        work = getattr(engine, asked.pop("do"))
        _settle(device)
        held = _held(device)
        started = time.perf_counter()
        values = work(**asked)
        _settle(device)
        seconds = time.perf_counter() - started
        shown = np.asarray(values).tolist()
        answer({"values": shown, "seconds": seconds, "peak": _peak(device) - held})


def _settle(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def _held(device: str) -> int:
    """Bytes held now; from here on the peak counts anew."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak(device: str) -> int:
    """The most bytes held since ``_held``."""
    return torch.cuda.max_memory_allocated() if device != "cpu" else _status("VmHWM")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"/proc/self/status says nothing of {name}.")


def _rate(model: Any, device: str) -> float:
    return product_rate(model.config.hidden_size, device, model.dtype)


def product_rate(width: int, device: str = "cpu", dtype: torch.dtype = torch.float32) -> float:
    """Floating-point operations a second of a plain matrix product of a model's ``width``."""
    rows = 512 if device == "cpu" else 8192
    left = torch.randn(rows, width, device=device, dtype=dtype)
    right = torch.randn(width, 4 * width, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(20):
        _settle(device)
        started = time.perf_counter()
        left @ right
        _settle(device)
        best = min(best, time.perf_counter() - started)
    return 2 * rows * width * 4 * width / best


if __name__ == "__main__":
    main()
