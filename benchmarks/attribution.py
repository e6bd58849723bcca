"""Integrated gradients against captum's, in one run, in turns (A B A B), each in its own process.

    python -m benchmarks.attribution [--model gpt2-small] [--tokens 64] [--steps 50] [--rounds 3]

captum is timed at several internal batch sizes first and then runs at its best: as its documentation has
it, with the model's plain forward, and with a forward that computes the last logits only. Scores must
agree before anything is timed. Peak memory is what a process takes above what it held with the model loaded.
Attention flow is timed by itself, on 12 layers of that many tokens. Lines of JSON, then a table.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import numpy as np

from benchmarks.grids import Worker
from benchmarks.lines import measured_where
from benchmarks.sizes import random_ids
from interpboard.attribution.fused_attention import with_residual
from interpboard.attribution.max_flow import max_flow

BATCHES = (1, 2, 4, 8, 16, 50)


def compare(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """A line an engine."""
    ours, captum = (_worker(name, chosen) for name in ("interpboard", "captum"))
    print(json.dumps({"date": time.strftime("%Y-%m-%d"), **captum.about}), flush=True)
    ids = random_ids(ours.about["vocabulary"], chosen.tokens)
    target = ours.ask("clean_top", ids=ids)["values"]
    asked = {"ids": ids, "target": target, "baseline": 0, "n_steps": chosen.steps}
    scores = np.array(ours.ask("integrated_gradients", **asked)["values"])
    runs: dict[str, tuple[Worker, dict[str, Any]]] = {}
    for name, kept in (("captum", 0), ("captum, last logits only", 1)):
        tried = {}
        for rows in BATCHES:
            found = captum.ask("integrated_gradients", rows=rows, kept=kept, **asked)
            np.testing.assert_allclose(found["values"], scores, rtol=1e-2, atol=1e-4)
            tried[rows] = found["seconds"]
        best = min(tried, key=lambda rows: tried[rows])
        runs[name] = (captum, {**asked, "rows": best, "kept": kept})
    runs["interpboard"] = (ours, asked)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(chosen.rounds):
        for name, (worker, what) in runs.items():
            times[name].append(worker.ask("integrated_gradients", **what)["seconds"])
    peaks = {name: _peak(worker.name, what, chosen) for name, (worker, what) in runs.items()}
    for worker in (ours, captum):
        worker.close()
    base = min(times["captum"])
    return [
        {
            "model": chosen.model, "tokens": chosen.tokens, "steps": chosen.steps, "engine": name,
            "seconds": round(min(took), 3), "rounds": [round(t, 3) for t in took],
            "times_faster_than_captum": round(base / min(took), 2),
            "peak_mib": round(peaks[name] / 2**20),
            "internal_batch_size": runs[name][1].get("rows"),
        }
        for name, took in times.items()
    ]  # fmt: skip


def _peak(engine: str, asked: dict[str, Any], chosen: argparse.Namespace) -> int:
    """Bytes above the loaded model, in a process that has done nothing else."""
    fresh = _worker(engine, chosen)
    peak: int = fresh.ask("integrated_gradients", **asked)["peak"]
    fresh.close()
    return peak


def _worker(engine: str, chosen: argparse.Namespace) -> Worker:
    return Worker(engine, sys.executable, chosen.model, chosen)


def flow(tokens: int, layers: int = 12) -> dict[str, Any]:
    """Seconds of attention flow to every token from the last, on random causal attention."""
    generator = np.random.default_rng(0)
    attention = np.zeros((layers, tokens, tokens))
    for layer in attention:
        for query in range(tokens):
            layer[query, : query + 1] = generator.dirichlet(np.full(query + 1, 0.1))
    mixed = with_residual(attention)
    started = time.perf_counter()
    for key in range(tokens):
        max_flow(mixed, tokens - 1, key)
    took = time.perf_counter() - started
    return {"task": "attention flow", "layers": layers, "tokens": tokens, "seconds": round(took, 2)}


def main() -> None:
    """Measure, and print lines and table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gpt2-small")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    print(f"{measured_where()}, {chosen.threads} threads", flush=True)
    lines = compare(chosen)
    for line in (*lines, flow(chosen.tokens)):
        print(json.dumps(line))
    print("| engine | model | tokens | steps | seconds | against captum | peak, MiB |")
    print("|---|---|---|---|---|---|---|")
    for one in lines:
        print(
            f"| {one['engine']} | {one['model']} | {one['tokens']} | {one['steps']} | "
            f"{one['seconds']:.2f} | {one['times_faster_than_captum']:.2f}× | {one['peak_mib']} |"
        )


if __name__ == "__main__":
    main()
