"""Estimates of the head grid, integrated gradients and the logit lens beside what a notebook would write.

    python -m benchmarks.gradients --task estimates|integrated|lens [--model gpt2-small] [--lengths 16 64]
        [--rounds 5] [--steps 50] [--batches 4 16] [--save]

In one run, in turns (A B A B), each engine in a process of its own, once the machine is quiet: plain PyTorch
hooks (one forward pass that gives all logits, one backward pass), captum at the best of its batch sizes, and
plain Hugging Face (entropy, KL to the last layer and top 5 of every layer). Values must agree first. A line
has the seconds of each round, the ratio of each round (what the other took over ours), the share that
the products alone would take at the rate of a plain product, and the most memory above the loaded model.
The prompt's own run, which gives its metric, is there beforehand, as it is when somebody looks at a prompt.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import work
from benchmarks.grids import Worker
from benchmarks.lines import Lines, add_save
from benchmarks.quiet import wait_until_quiet
from benchmarks.sizes import SIZES, random_ids

TOP = 5
OTHERS = {"estimates": "hooks", "integrated": "captum", "lens": "hooks"}
AGREEMENT = 1e-3


def asked_of(task: str, ids: list[int], target: int, steps: int) -> dict[str, Any]:
    """What both engines are asked."""
    given: dict[str, Any] = {"ids": ids, "target": target}
    if task == "integrated":
        return {"do": "integrated_gradients", "baseline": 0, "n_steps": steps, **given}
    return {"do": task, **given, **({"top": TOP} if task == "lens" else {})}


@dataclass(frozen=True)
class Prepared:
    """A task at a length, of which both engines gave the same values."""

    task: str
    length: int
    ours: Worker
    other: Worker
    asked: dict[str, Any]
    more: dict[str, Any]
    peaks: tuple[int, int]
    off: float


def prepare(
    task: str, length: int, ours: Worker, other: Worker, chosen: argparse.Namespace
) -> Prepared:
    """Everything but the timing."""
    ids = random_ids(ours.about["vocabulary"], length)
    asked = asked_of(task, ids, ours.ask("clean_top", ids=ids)["values"], chosen.steps)
    more: dict[str, Any] = {}
    first = ours.ask(**asked)
    if other.name == "captum":
        tried = {rows: other.ask(**asked, rows=rows)["seconds"] for rows in chosen.batches}
        more = {"rows": min(tried, key=lambda rows: tried[rows])}
    second = other.ask(**asked, **more)
    off = _off(first["values"], second["values"])
    if not off <= AGREEMENT:
        raise SystemExit(f"{task}: the engines differ by {off:.3g} of the largest value.")
    return Prepared(task, length, ours, other, asked, more, (first["peak"], second["peak"]), off)


def compare(case: Prepared, chosen: argparse.Namespace, lines: Lines) -> None:
    """Time both in turns."""
    task, length, ours, other, more = case.task, case.length, case.ours, case.other, case.more
    busy = wait_until_quiet()
    rate = ours.ask("rate")["values"]
    times: list[tuple[float, float]] = []
    for _ in range(chosen.rounds):
        pair = other.ask(**case.asked, **more), ours.ask(**case.asked)
        times.append((pair[0]["seconds"], pair[1]["seconds"]))
    ratios = [theirs / own for theirs, own in times]
    widths = work.Widths.of(SIZES[chosen.model]().config)
    ideal = _operations(task, widths, length, chosen.steps, ours.about["vocabulary"]) / rate
    best = min(own for _, own in times)
    lines.say({
        "task": task, "model": chosen.model, "tokens": length, "beside": other.name, **more,
        **({"steps": chosen.steps} if task == "integrated" else {}),
        "ours_s": [round(own, 4) for _, own in times],
        "theirs_s": [round(theirs, 4) for theirs, _ in times],
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(min(ratios), 2), round(max(ratios), 2)],
        "of_the_possible": round(ideal / best, 2),
        "peak_mib": [round(peak / 2**20) for peak in case.peaks], "off": float(f"{case.off:.1e}"),
        "busy_cores": busy,
    })  # fmt: skip


def _operations(task: str, widths: work.Widths, length: int, steps: int, vocabulary: int) -> float:
    """Floating-point operations that cannot be spared."""
    once = work.forward(widths, length)
    if task == "estimates":  # backwards to the first layer's head outputs
        spared = widths.keys(length) + 2 * length * widths.d_model**2
        return 2 * once - spared
    if task == "integrated":
        return steps * 2 * once
    rows = (widths.layers + 1) * length
    return widths.layers * widths.layer(0, length) + 2 * rows * widths.d_model * vocabulary


def _off(found: Any, expected: Any) -> float:
    first, second = np.asarray(found, float), np.asarray(expected, float)
    return float(np.abs(first - second).max() / np.abs(second).max())


def table(lines: list[dict[str, Any]]) -> str:
    """Markdown, one row a measurement."""
    rows = [
        "| task | model | tokens | ours, s | beside it, s | ratio of a round | of the possible | MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    rows += [
        f"| {one['task']} | {one['model']} | {one['tokens']} | {min(one['ours_s']):.3f} | "
        f"{one['beside']} {min(one['theirs_s']):.3f} | **{one['ratio']:.2f}×** "
        f"({one['ratios'][0]:.2f} to {one['ratios'][1]:.2f}) | {one['of_the_possible']:.0%} | "
        f"{one['peak_mib'][0]}, {one['peak_mib'][1]} |"
        for one in lines
    ]
    return "\n".join(rows)


def main() -> None:
    """Measure, and print lines and table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", nargs="+", default=list(OTHERS), choices=OTHERS)
    parser.add_argument("--model", default="gpt2-small", choices=SIZES)
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batches", type=int, nargs="+", default=[4, 16, 50], help="captum's")
    parser.add_argument("--threads", type=int, default=2)
    add_save(parser, "gradients")
    chosen = parser.parse_args()
    chosen.device, chosen.dtype = "cpu", "float32"
    lines = Lines("gradients", chosen.save, threads=chosen.threads, dtype=chosen.dtype)
    names = dict.fromkeys(["interpboard", *(OTHERS[task] for task in chosen.task)])
    workers = {name: Worker(name, sys.executable, chosen.model, chosen) for name in names}
    cases = [
        prepare(task, length, workers["interpboard"], workers[OTHERS[task]], chosen)
        for task in chosen.task
        for length in sorted(chosen.lengths)
    ]
    for case in cases:
        compare(case, chosen, lines)
    for worker in workers.values():
        worker.close()
    print(table(lines.told))


if __name__ == "__main__":
    main()
