"""What scoring every edge costs, in plain forward passes of the same batch; A B A B in one run.

    python -m benchmarks.discovery [--length 16] [--rows 8] [--rounds 3] [--demo]

EAP asks for two forward passes and one backward; the rest is the product of what senders write with the
gradient at every receiver. A run with only some edges live is one forward pass with a stream per receiver.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise

import torch

from benchmarks.lines import measured_where
from benchmarks.models import MODELS, opened, random_case
from interpboard.circuits.discovery.cases import TokenizedExample
from interpboard.circuits.discovery.edge_evaluator import EdgeEvaluator
from interpboard.circuits.discovery.edge_runs import edge_patched
from interpboard.circuits.discovery.edge_scores import edge_scores
from interpboard.circuits.discovery.faithfulness import top_edges
from interpboard.models.language_model import LanguageModel, open_model


def random_cases(lm: LanguageModel, length: int, rows: int) -> list[TokenizedExample]:
    """Pairs of prompts of random ids."""
    prompts = [random_case(lm, length + i)[0] for i in range(rows + 1)]
    cut = [type(p)(p.text, p.tokens[:length], p.token_ids[:length]) for p in prompts]
    return [TokenizedExample(a, b, (1,), (2,), len(a.token_ids) - 1) for a, b in pairwise(cut)]


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(name: str, lm: LanguageModel, length: int, rows: int, rounds: int) -> None:
    """One line of the table."""
    cases = random_cases(lm, length, rows)
    evaluator = EdgeEvaluator.of(lm, cases)
    edges = top_edges(evaluator.wiring.graph, edge_scores(evaluator, "eap"), 500)

    def fresh() -> EdgeEvaluator:  # with no reference run kept
        return EdgeEvaluator(evaluator.wiring, evaluator.batches, "logit_diff", "corrupted")

    def forward() -> None:
        with torch.no_grad():
            for batch in evaluator.batches:
                lm.anatomy.base(input_ids=batch.clean, use_cache=False)

    def score() -> None:
        edge_scores(fresh(), "eap")

    def patched() -> None:
        for batch in evaluator.batches:
            edge_patched(evaluator.wiring, batch.clean, evaluator.reference(batch), edges)

    plain, scored, run = [], [], []
    for _ in range(rounds):
        plain.append(timed(forward))
        scored.append(timed(score))
        run.append(timed(patched))
    base = min(plain)
    count = int(evaluator.wiring.graph.edges.sum())
    print(
        f"| {name} | {rows} × {length} | {count} | {base:.3f} | {min(scored) / base:.1f}× | "
        f"{min(run) / base:.1f}× |",
        flush=True,
    )


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=16)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--demo", action="store_true", help="the demo model only")
    chosen = parser.parse_args()
    print(f"{measured_where()}\n")
    print(
        "| model | tokens | edges | forward, s | EAP | edge-patched run |\n|---|---|---|---|---|---|"
    )
    for name in ("demo",) if chosen.demo else ("demo", *MODELS):
        lm = open_model("demo", device="cpu") if name == "demo" else opened(name)
        compare(name, lm, chosen.length, chosen.rows, chosen.rounds)


if __name__ == "__main__":
    main()
