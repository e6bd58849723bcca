"""Integrated gradients against captum's, in one run, in turns (A B A B), each in its own process.

    python -m benchmarks.attribution [--model gpt2-small] [--tokens 64] [--steps 50] [--rounds 3]

captum is timed at several internal batch sizes first and then runs at its best. Scores must agree before
anything is timed. Peak memory is what a process takes above what it held with the model loaded.
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
from benchmarks.sizes import random_ids
from interpboard.attribution.fused_attention import with_residual
from interpboard.attribution.max_flow import max_flow

BATCHES = (1, 2, 4, 8, 16, 50)


def compare(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """A line an engine."""
    ours, captum = (
        Worker(name, sys.executable, chosen.model, chosen) for name in ("interpboard", "captum")
    )
    print(json.dumps({"date": time.strftime("%Y-%m-%d"), **captum.about}), flush=True)
    ids = random_ids(ours.about["vocabulary"], chosen.tokens)
    target = ours.ask("clean_top", ids=ids)["values"]
    asked = {"ids": ids, "target": target, "baseline": 0, "n_steps": chosen.steps}
    found = ours.ask("integrated_gradients", **asked)
    scores = np.array(found["values"])
    tried = {rows: captum.ask("integrated_gradients", rows=rows, **asked) for rows in BATCHES}
    best = min(tried, key=lambda rows: tried[rows]["seconds"])
    np.testing.assert_allclose(tried[best]["values"], scores, rtol=1e-2, atol=1e-4)
    times: dict[str, list[float]] = {"captum": [], "interpboard": []}
    peaks = {"captum": tried[best]["peak"], "interpboard": found["peak"]}
    for _ in range(chosen.rounds):
        times["captum"].append(captum.ask("integrated_gradients", rows=best, **asked)["seconds"])
        times["interpboard"].append(ours.ask("integrated_gradients", **asked)["seconds"])
    for worker in (ours, captum):
        worker.close()
    base = min(times["captum"])
    return [
        {
            "model": chosen.model, "tokens": chosen.tokens, "steps": chosen.steps, "engine": name,
            "seconds": round(min(took), 3), "rounds": [round(t, 3) for t in took],
            "times_faster_than_captum": round(base / min(took), 2),
            "peak_mib": round(peaks[name] / 2**20),
            **({"internal_batch_size": best} if name == "captum" else {}),
        }
        for name, took in times.items()
    ]  # fmt: skip


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
