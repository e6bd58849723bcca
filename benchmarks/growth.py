"""How cost grows with the work: time and memory of an analysis at several sizes, and the fitted exponent.

    python -m benchmarks.growth [--only NAME ...] [--save]

| name | what grows |
|---|---|
| tokens, layers, heads | the head grid: its prompt, the layers, the heads of a layer |
| trace | a causal trace's prompt |
| vocabulary | the lens's vocabulary |
| circuit | the heads of a layer, of scores of all edges of a circuit |
| rows | rows of a sweep of head grids |
| paper | a 1B model's grid and trace as planned and as run here; 8B and 70B by their operations |

Random weights, float32, one thread; time is CPU time, the least of ``--rounds``, so that other work on the
machine hardly counts. Memory: ``mib``, the most that the process holds above the loaded model, and
``tensors_mib``, the most of tensors alive at once, which hangs on no C library. An exponent of 2 means four
times the cost for twice the size; ``last`` is that between the two largest. With ``--save`` a part's lines
take the place of those it had in ``results/growth.jsonl``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf

from benchmarks.discovery import random_cases
from benchmarks.engines.interpboard import opened
from benchmarks.lines import RESULTS, versions
from benchmarks.live_tensors import LiveTensors
from benchmarks.paper import on_paper
from benchmarks.sizes import random_ids
from interpboard.analyze import analyze
from interpboard.circuits.discovery.edge_evaluator import EdgeEvaluator
from interpboard.circuits.discovery.edge_scores import edge_scores
from interpboard.datasets.dataset import open_dataset
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import peak_memory
from interpboard.sweeps.sweep import sweep

Work = Callable[[], object]


@dataclass(frozen=True)
class Growth:
    """``size`` is what grows, ``sizes`` its values; ``make(size)`` the work. ``reason``: why it grows so."""

    size: str
    sizes: tuple[int, ...]
    make: Callable[[int], tuple[LanguageModel, Work]]
    reason: str


def _gpt2(**shape: int) -> LanguageModel:
    torch.manual_seed(0)
    config = {"n_embd": 256, "n_head": 4, "n_layer": 6, "vocab_size": 1000, **shape}
    model = tf.GPT2LMHeadModel(tf.GPT2Config(**config, bos_token_id=0, eos_token_id=0)).eval()
    return opened(model.requires_grad_(False))


def _analysis(
    lm: LanguageModel, length: int, name: str, **params: Any
) -> tuple[LanguageModel, Work]:
    text = " ".join(map(str, random_ids(lm.anatomy.d_vocab, length)))
    return lm, lambda: analyze(lm, text, (name,), params={name: params})


def _edges(heads: int) -> tuple[LanguageModel, Work]:
    lm = _gpt2(n_head=heads, n_layer=4)
    whole = EdgeEvaluator.of(lm, random_cases(lm, 12, 4))

    def score() -> None:
        edge_scores(EdgeEvaluator(whole.wiring, whole.batches, "logit_diff", "corrupted"), "eap")

    return lm, score


def _sweep(rows: int) -> tuple[LanguageModel, Work]:
    lm = _gpt2()

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            lines = [" ".join(map(str, random_ids(1000, 12 + i)[-12:])) for i in range(rows)]
            path = Path(folder) / "prompts.txt"
            path.write_text("\n".join(lines), encoding="utf-8")
            sweep(lm, open_dataset([str(path)]), ["head_ablation"], Path(folder) / "out")

    return lm, work


COSTS = "cpu_s", "mib", "tensors_mib"
GROWN = {
    "tokens": Growth(
        "tokens", (16, 32, 64, 128, 256),
        lambda n: _analysis(_gpt2(), n, "head_ablation"),
        "products grow with the tokens, attention with their square",
    ),
    "layers": Growth(
        "layers", (2, 4, 8, 16), lambda n: _analysis(_gpt2(n_layer=n), 24, "head_ablation"),
        "so many times more heads, and each runs half of the layers again",
    ),
    "heads": Growth(
        "heads", (4, 8, 16, 32), lambda n: _analysis(_gpt2(n_head=n), 24, "head_ablation"),
        "a row a head, whatever its width",
    ),
    "trace": Growth(
        "tokens", (8, 16, 32, 64, 128),
        lambda n: _analysis(_gpt2(), n, "causal_trace", subject=[1, 2], samples=2),
        "a cell a token, and each runs the positions from its own on again",
    ),
    "vocabulary": Growth(
        "vocabulary", (2_000, 8_000, 32_000, 128_000),
        lambda n: _analysis(_gpt2(vocab_size=n), 32, "logit_lens"),
        "a product and a few passes over every logit; below some thousand tokens the forward pass counts",
    ),
    "circuit": Growth(
        "heads", (4, 16, 64, 256), _edges,
        "edges go between every two heads, but scoring them is one product of what all heads write with "
        "the gradients at all receivers; the passes themselves grow with the heads",
    ),
    "rows": Growth(
        "rows", (16, 32, 64, 128), _sweep, "a row costs what it costs, whatever was before it",
    ),
}  # fmt: skip


def measured(name: str, rounds: int) -> list[dict[str, Any]]:
    """A line a size, and one with the exponents."""
    grown = GROWN[name]
    lines: list[dict[str, Any]] = []
    for size in grown.sizes:
        lm, do = grown.make(size)
        do()  # what is made on first use is there afterwards
        with peak_memory(lm.device) as peak:
            do()
        with LiveTensors() as tensors:
            do()
        took = min(_cpu(do) for _ in range(rounds))
        lines.append({"part": name, grown.size: size, "cpu_s": round(took, 4),
                      "mib": round((peak.above or 0) / 2**20, 1),
                      "tensors_mib": round(tensors.most / 2**20, 1)})  # fmt: skip
        print(json.dumps(lines[-1]), flush=True)
    sizes = [line[grown.size] for line in lines]
    fits = {key: _exponents(sizes, [line[key] for line in lines]) for key in COSTS}
    return [*lines, {"part": name, "exponents": fits, "reason": grown.reason}]


def _cpu(do: Work) -> float:
    started = time.process_time()
    do()
    return time.process_time() - started


def _exponents(sizes: list[int], costs: list[float]) -> dict[str, float]:
    x, y = np.log(sizes), np.log(np.maximum(costs, 1e-9))
    slope = np.polyfit(x, y, 1)[0]
    return {"fitted": round(float(slope), 2),
            "last": round(float((y[-1] - y[-2]) / (x[-1] - x[-2])), 2)}  # fmt: skip


def _about() -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()  # fmt: skip
    return {"date": time.strftime("%Y-%m-%d"), "commit": commit, "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1), "threads": torch.get_num_threads(),
            "versions": versions()}  # fmt: skip


def _save(part: str, lines: list[dict[str, Any]]) -> None:
    path = RESULTS / "growth.jsonl"
    old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in old if json.loads(line)["part"] != part]
    path.write_text("\n".join([*kept, *map(json.dumps, lines)]) + "\n", encoding="utf-8")


def main() -> None:
    """Measure the parts, and print what they took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*GROWN, "paper"]
    parser.add_argument("--only", nargs="+", default=names, choices=names)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--save", action="store_true", help="write results/growth.jsonl")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for name in chosen.only:
        about = {"part": name, **_about()}
        lines = list(on_paper()) if name == "paper" else measured(name, chosen.rounds)
        print(json.dumps(about))
        print(
            "\n".join(json.dumps(line) for line in (lines if name == "paper" else lines[-1:])),
            flush=True,
        )
        if chosen.save:
            _save(name, [about, *lines])


if __name__ == "__main__":
    main()
