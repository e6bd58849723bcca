"""Whole grids of interventions by several engines, in one run, in turns (A B A B).

    python -m benchmarks.grids [--model gpt2-small llama-12] [--lengths 16 64] [--rounds 2]
        [--engine interpboard hooks] [--python nnsight=/path/to/its/python] [--device cuda --dtype bfloat16]
        [--save]

Head grid: every head of every layer set to zero. Causal trace: ten noise samples, every layer and position
restored; an engine that runs one forward pass a cell is timed on some of the cells and scaled to all.
Preview: estimates of the head grid against one plain forward pass. Values must agree with plain hooks
before anything is timed. Every measurement is a line of JSON on standard output; the table follows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import work
from benchmarks.engines import NAMES, NOISED
from benchmarks.lines import Lines, add_save
from benchmarks.sizes import SIZES, random_ids

SAMPLES = 10
TRACE_CELLS = 24
AGREEMENT = {"float32": 1e-3, "bfloat16": 0.5, "float16": 0.1}


class Worker:
    """One engine's process."""

    def __init__(self, name: str, python: str, model: str, chosen: argparse.Namespace) -> None:
        self.name = name
        words = [name, model, chosen.device, chosen.dtype, str(chosen.threads)]
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.about = self._read()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Do it there, and wait."""
        assert self.process.stdin
        print(json.dumps({"do": do, **arguments}), file=self.process.stdin, flush=True)
        return self._read()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"The engine {self.name} ended; what it said stands above.")
        return json.loads(line)


def compare(
    workers: list[Worker], model: str, length: int, chosen: argparse.Namespace, lines: Lines
) -> None:
    """All tasks on one model and length."""
    ours, loop = workers[0], workers[1]
    widths = work.Widths.of(SIZES[model]().config) if model != "llama-8b" else _large()
    ids = random_ids(ours.about["vocabulary"], length)
    target = loop.ask("clean_top", ids=ids)["values"]
    rate = ours.ask("rate")["values"]
    say = {"model": model, "tokens": length, "device": chosen.device, "dtype": chosen.dtype}

    if "heads" in chosen.task:
        asked = {"do": "head_grid", "ids": ids, "target": target}
        times, peaks = _in_turns(workers, [asked] * len(workers), chosen)
        _tell(lines, say, "head grid", times, peaks, work.head_grid(widths, length) / rate)

    if "trace" in chosen.task:
        every = [(layer, at) for layer in range(widths.layers) for at in range(length)]
        some = every[:: max(1, len(every) // TRACE_CELLS)]
        tracing = [w for w in workers if w.name != "batched_hooks"]
        with tempfile.TemporaryDirectory() as folder:
            noise = str(Path(folder) / "noise.npy")
            np.save(noise, np.array(ours.ask("noise", samples=SAMPLES)["values"], np.float32))
            asked = {"do": "trace", "ids": ids, "target": target, "noise": noise, "cells": some}
            times, peaks = _in_turns(tracing, [asked] * len(tracing), chosen)
        for worker in tracing[1:]:
            times[worker.name] = [t * len(every) / len(some) for t in times[worker.name]]
        ideal = work.trace(widths, length, SAMPLES, min(NOISED)) / rate
        _tell(lines, say, "causal trace", times, peaks, ideal, cells_timed=len(some))

    if "preview" in chosen.task:
        pairs = [ours.ask("preview", ids=ids, target=target)["values"] for _ in range(9)]
        passed, estimated = (float(np.median(part)) for part in zip(*pairs, strict=True))
        lines.say({**say, "task": "preview", "engine": "interpboard", "seconds": estimated,
                   "forward": passed, "passes": round(estimated / passed, 2)})  # fmt: skip


def _large() -> work.Widths:
    return work.Widths(32, 32, 4096, 1024, 14_336, 3)


def _in_turns(
    workers: list[Worker], asked: list[dict[str, Any]], chosen: argparse.Namespace
) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Seconds by engine, one a round, after values were seen to agree; and peak bytes."""
    found = [w.ask(**what) for w, what in zip(workers, asked, strict=True)]
    expected = np.array(found[1]["values"])
    allowed = AGREEMENT[chosen.dtype] * np.abs(expected).max()
    for worker, answer in zip(workers, found, strict=True):
        off = np.abs(np.array(answer["values"]) - expected).max()
        if not off <= allowed:
            raise SystemExit(f"{worker.name} is off by {off:.3g} where {allowed:.3g} is allowed.")
    times: dict[str, list[float]] = {w.name: [] for w in workers}
    peaks = {w.name: answer["peak"] for w, answer in zip(workers, found, strict=True)}
    for _ in range(chosen.rounds):
        for worker, what in zip(workers, asked, strict=True):
            times[worker.name].append(worker.ask(**what)["seconds"])
    return times, peaks


def _tell(
    lines: Lines,
    say: dict[str, Any],
    task: str,
    times: dict[str, list[float]],
    peaks: dict[str, int],
    ideal: float,
    **more: Any,
) -> None:
    base = min(times["hooks"])
    for engine, took in times.items():
        best = min(took)
        lines.say({**say, "task": task, "engine": engine, "seconds": round(best, 4),
                   "rounds": [round(t, 4) for t in took],
                   "times_faster_than_hooks": round(base / best, 2),
                   "of_the_possible": round(ideal / best, 3),
                   "peak_mib": round(peaks[engine] / 2**20), **more})  # fmt: skip


def table(lines: list[dict[str, Any]]) -> str:
    """Markdown, one row a measurement."""
    rows = [
        "| task | model | tokens | engine | seconds | against hooks | of the possible | peak, MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in lines:
        place = f"{one['task']} | {one['model']} | {one['tokens']} | {one['engine']}"
        if one["task"] == "preview":
            rows.append(f"| {place} | {one['seconds']:.3f} | {one['passes']} passes | | |")
            continue
        rows.append(
            f"| {place} | {one['seconds']:.2f} | {one['times_faster_than_hooks']:.1f}× | "
            f"{one['of_the_possible']:.0%} | {one['peak_mib']} |"
        )
    return "\n".join(rows)


def main() -> None:
    """Measure, and print lines and table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", default=["gpt2-small", "llama-12"], choices=SIZES)
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--task", nargs="+", default=["heads", "trace", "preview"])
    parser.add_argument("--engine", nargs="+", default=["batched_hooks"], choices=NAMES)
    parser.add_argument("--python", nargs="+", default=[], help="engine=interpreter")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=AGREEMENT)
    parser.add_argument("--threads", type=int, default=2)
    add_save(parser, "grids")
    chosen = parser.parse_args()
    lines = Lines("grids", chosen.save, threads=chosen.threads)
    pythons = dict(pair.split("=", 1) for pair in chosen.python)
    engines = ["interpboard", "hooks", *chosen.engine, *pythons]
    for model in chosen.model:
        names = list(dict.fromkeys(engines))
        workers = [Worker(n, pythons.get(n, sys.executable), model, chosen) for n in names]
        for worker in workers:
            lines.say({"engine": worker.name, **worker.about})
        for length in chosen.lengths:
            compare(workers, model, length, chosen, lines)
        for worker in workers:
            worker.close()
    print(table([line for line in lines.told if "task" in line]))


if __name__ == "__main__":
    main()
