"""The most memory that a whole grid takes above the loaded model, on default settings.

    python -m benchmarks.memory [--model gpt2-small] [--lengths 64 256 1024] [--task "head grid"] [--save]

Random weights, float32. Each grid is made by its public function in a process of its own; what is counted
is the process's largest resident memory during the call, above what it held with the model loaded and
looked into, so modules first imported and buffers first made in the call count too. Beyond ``WHOLE``
tokens a grid takes minutes: all of it is recorded as always, but only the cells that need most memory
are evaluated, those that begin at the first position and at the last ones (see ``needing_most``).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.engines import NOISED
from benchmarks.lines import Lines, add_save
from benchmarks.models import opened, random_case
from benchmarks.sizes import SIZES
from benchmarks.worker import _held, _peak
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.models.language_model import LanguageModel
from interpboard.patching import causal_tracing, paths
from interpboard.patching.activation import activation_patching
from interpboard.patching.estimates import attribution_patching
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs import cells
from interpboard.runs.edits import Counterfactual, first_of
from interpboard.runs.metrics import Metric, resolve_metric

WHOLE = 16
LATE = 16
ROWS = 8
TOKENS = 2048

Made = Callable[[LanguageModel, PromptInfo, Metric, str], object]


def _kl(lm: LanguageModel, prompt: PromptInfo, _metric: Metric, _other: str) -> object:
    return head_ablation(lm, prompt, resolve_metric(lm, prompt, MetricRequest("kl")))


TASKS: dict[str, Made] = {
    "head grid": lambda lm, prompt, metric, _: head_ablation(lm, prompt, metric),
    "head grid, mean": lambda lm, p, m, _: head_ablation(lm, p, m, ablation="mean"),
    "head grid, estimates first": lambda lm, p, m, _: head_ablation(lm, p, m, preview=True),
    "head grid, kl": _kl,
    "causal trace": lambda lm, p, m, _: causal_tracing.causal_trace(lm, p, m, subject=NOISED),
    "causal trace, mlp": lambda lm, p, m, _: causal_tracing.causal_trace(
        lm, p, m, subject=NOISED, state="mlp"
    ),
    "patching, resid_pre": lambda lm, p, m, o: activation_patching(lm, p, m, corrupted=o),
    "patching, z": lambda lm, p, m, o: activation_patching(lm, p, m, corrupted=o, site="z"),
    "patching, q": lambda lm, p, m, o: activation_patching(lm, p, m, corrupted=o, site="q"),
    "patching, pattern": lambda lm, p, m, o: activation_patching(
        lm, p, m, corrupted=o, site="pattern"
    ),
    "patching, neuron": lambda lm, p, m, o: activation_patching(
        lm, p, m, corrupted=o, site="neuron"
    ),
    "AtP, resid_pre": lambda lm, p, m, o: attribution_patching(lm, p, m, corrupted=o),
    "AtP, z": lambda lm, p, m, o: attribution_patching(lm, p, m, corrupted=o, site="z"),
    "AtP, pattern": lambda lm, p, m, o: attribution_patching(lm, p, m, corrupted=o, site="pattern"),
    "AtP*, q": lambda lm, p, m, o: attribution_patching(
        lm, p, m, corrupted=o, site="q", method="atp_star"
    ),
    "path patching": lambda lm, p, m, o: paths.path_patching(lm, p, m, corrupted=o),
}


def needing_most(counterfactuals: Sequence[Counterfactual], length: int) -> list[int]:
    """Which are evaluated: of those that begin at the first position and at each of the last ``LATE``
    some evenly spaced ones, enough for several steps."""
    by_first: dict[int, list[int]] = {}
    for index, counterfactual in enumerate(counterfactuals):
        by_first.setdefault(first_of(counterfactual), []).append(index)
    found = []
    for number, first in enumerate(sorted(by_first)):
        if number and first < length - LATE:
            continue
        here = by_first[first]
        most = max(ROWS, TOKENS // (length - first))
        spaced = np.linspace(0, len(here) - 1, min(most, len(here))).round().astype(int)
        found += [here[i] for i in spaced]
    return found


class Some:
    """``evaluate``, of the cells that need most memory; the others stay NaN. Counts them."""

    def __init__(self, evaluate: Callable[..., np.ndarray], length: int) -> None:
        self.evaluate, self.length = evaluate, length
        self.all, self.evaluated = 0, 0

    def __call__(
        self,
        run: Any,
        counterfactuals: Sequence[Counterfactual],
        metric: Metric,
        *,
        base: Sequence[int] | None = None,
        on_values: Callable[[list[int], np.ndarray], None] | None = None,
        **more: Any,
    ) -> np.ndarray:
        which = list(range(len(counterfactuals)))
        if self.length > WHOLE:
            which = needing_most(counterfactuals, self.length)
        self.all, self.evaluated = self.all + len(counterfactuals), self.evaluated + len(which)

        def take(indices: list[int], values: np.ndarray) -> None:
            if on_values:
                on_values([which[i] for i in indices], values)

        values = np.full(len(counterfactuals), np.nan)
        values[which] = self.evaluate(
            run, [counterfactuals[i] for i in which], metric,
            base=base and [base[i] for i in which], on_values=take, **more,
        )  # fmt: skip
        return values


def measure(task: str, model: str, length: int, threads: int) -> dict[str, object]:
    """One grid, in this process."""
    torch.set_num_threads(threads)
    lm = opened(model)
    prompt, metric = random_case(lm, length)
    ids = list(prompt.token_ids)
    ids[1] = (ids[1] + 1) % lm.anatomy.d_vocab
    some = Some(cells.evaluate, length)
    for module in (cells, causal_tracing, paths):
        module.evaluate = some  # type: ignore[attr-defined, assignment]
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # memory kept for later would hide what the grid takes
    held = _held("cpu")
    started = time.perf_counter()
    TASKS[task](lm, prompt, metric, " ".join(map(str, ids)))
    seconds = time.perf_counter() - started
    return {"task": task, "model": model, "tokens": length, "cells": some.all,
            "evaluated": some.evaluated, "seconds": round(seconds, 1),
            "loaded_mib": round(held / 2**20),
            "peak_mib": round((_peak("cpu") - held) / 2**20)}  # fmt: skip


def table(lines: list[dict[str, Any]]) -> str:
    """Markdown: MiB above the model by task and length; * where only some cells were evaluated."""
    lengths = sorted({line["tokens"] for line in lines})
    rows = [f"| grid | {' | '.join(map(str, lengths))} |", f"|{'---|' * (1 + len(lengths))}"]
    for task in dict.fromkeys(line["task"] for line in lines):
        found = {line["tokens"]: line for line in lines if line["task"] == task}
        shown = [str(found[length]["peak_mib"]) if length in found else "" for length in lengths]
        rows.append(f"| {task} | {' | '.join(shown)} |")
    return "\n".join(rows)


def main() -> None:
    """Measure each grid in a process of its own, so that none inherits the memory of another."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gpt2-small", choices=SIZES)
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--task", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--here", action="store_true", help="one grid, in this process")
    add_save(parser, "memory")
    chosen = parser.parse_args()
    if chosen.here:
        print(json.dumps(measure(chosen.task[0], chosen.model, chosen.lengths[0], chosen.threads)))
        return
    lines = Lines("memory", chosen.save, dtype="float32", device="cpu", threads=chosen.threads)
    for length in chosen.lengths:
        for task in chosen.task:
            words = ["--model", chosen.model, "--lengths", str(length), "--task", task]
            words += ["--threads", str(chosen.threads), "--here"]
            found = subprocess.run(
                [sys.executable, "-m", "benchmarks.memory", *words],
                check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            lines.say(json.loads(found.stdout))
    print(table(lines.told))


if __name__ == "__main__":
    main()
