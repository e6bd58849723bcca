"""Whole grids of interventions by several engines, in one run, in turns (A B A B).

    python -m benchmarks.grids [--model gpt2-small] [--lengths 16 64] [--task heads trace preview]
        [--rounds 3] [--measure prob] [--engine batched_hooks] [--python nnsight=/path/to/its/python]
        [--device cuda --dtype bfloat16] [--save | --add]

Head grid: every head of every layer set to zero. Causal trace: ten noise samples, every layer and position
restored, by the logit or (``--measure``) the probability. The loop of hooks runs one forward pass a cell;
they are alike, and some of them are timed, spread over the grid, and scaled to all. Preview: estimates of the
head grid against one plain forward pass. Values must agree with plain hooks first, and the machine is quiet
as the rounds begin. A line of JSON has the seconds of each round, how many times faster than hooks it was in
the same round (median, least and most) and the share of the possible. With one model, one length and one
task a call ends within 100 seconds on two cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import work
from benchmarks.engines import NAMES, NOISED
from benchmarks.lines import Lines, add_save
from benchmarks.quiet import wait_until_quiet
from benchmarks.sizes import SIZES, random_ids

SAMPLES = 10
TRACE_CELLS = 24
HEAD_CELLS = 36
CELL_BY_CELL = ("hooks", "transformer_lens", "nnsight")
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
        every = [(layer, head) for layer in range(widths.layers) for head in range(widths.heads)]
        some = every[:: max(1, len(every) // HEAD_CELLS)]
        asked = {"do": "head_grid", "ids": ids, "target": target}
        of_some = [{**asked, "cells": some} if w.name == "hooks" else asked for w in workers]
        found = _in_turns(workers, of_some, chosen, [every.index(cell) for cell in some])
        ideal = work.head_grid(widths, length) / rate
        _tell(
            lines, say, "head grid", found, ideal, len(every), dict.fromkeys(["hooks"], len(some))
        )

    if "trace" in chosen.task:
        every = [(layer, at) for layer in range(widths.layers) for at in range(length)]
        some = every[:: max(1, len(every) // TRACE_CELLS)]
        tracing = [w for w in workers if w.name != "batched_hooks"]
        with tempfile.TemporaryDirectory() as folder:
            noise = str(Path(folder) / "noise.npy")
            np.save(noise, np.array(ours.ask("noise", samples=SAMPLES)["values"], np.float32))
            asked = {"do": "trace", "ids": ids, "target": target, "noise": noise, "cells": some}
            if chosen.measure != "logit":
                asked["measure"] = chosen.measure
            found = _in_turns(tracing, [asked] * len(tracing), chosen, None)
        logits = widths.d_model * ours.about["vocabulary"] if chosen.measure == "prob" else 0
        ideal = (
            work.trace(widths, length, SAMPLES, min(NOISED))
            + 2 * SAMPLES * widths.layers * (length - min(NOISED)) * logits
        ) / rate
        say = {**say, "measure": chosen.measure}
        timed = dict.fromkeys(CELL_BY_CELL, len(some))
        _tell(lines, say, "causal trace", found, ideal, len(every), timed)

    if "preview" in chosen.task:
        pairs = [ours.ask("preview", ids=ids, target=target)["values"] for _ in range(9)]
        passed, estimated = (float(np.median(part)) for part in zip(*pairs, strict=True))
        lines.say({**say, "task": "preview", "engine": "interpboard", "seconds": estimated,
                   "forward": passed, "passes": round(estimated / passed, 2)})  # fmt: skip


def _large() -> work.Widths:
    return work.Widths(32, 32, 4096, 1024, 14_336, 3)


@dataclass(frozen=True)
class _Rounds:
    """Seconds by engine, one a round; peak bytes; how far each is off; cores that others used."""

    times: dict[str, list[float]]
    peaks: dict[str, int]
    off: dict[str, float]
    busy: float


def _in_turns(
    workers: list[Worker],
    asked: list[dict[str, Any]],
    chosen: argparse.Namespace,
    compared: list[int] | None,
) -> _Rounds:
    """Rounds, after values were seen to agree: at the places ``compared`` of a whole grid."""
    found = [w.ask(**what) for w, what in zip(workers, asked, strict=True)]
    expected = np.array(found[1]["values"])
    size = np.abs(expected).max()
    off = {}
    for worker, answer in zip(workers, found, strict=True):
        values = np.array(answer["values"])
        if compared is not None and values.ndim > 1:
            values = values.flatten()[compared]
        off[worker.name] = float(np.abs(values - expected).max() / size)
        if not off[worker.name] <= AGREEMENT[chosen.dtype]:
            raise SystemExit(
                f"{worker.name} is off by {off[worker.name]:.3g} of the largest value."
            )
    peaks = {w.name: answer["peak"] for w, answer in zip(workers, found, strict=True)}
    busy = wait_until_quiet()
    times: dict[str, list[float]] = {w.name: [] for w in workers}
    for _ in range(chosen.rounds):
        for worker, what in zip(workers, asked, strict=True):
            times[worker.name].append(worker.ask(**what)["seconds"])
    return _Rounds(times, peaks, off, busy)


def _tell(
    lines: Lines,
    say: dict[str, Any],
    task: str,
    rounds: _Rounds,
    ideal: float,
    every: int,
    timed: dict[str, int],
) -> None:
    """``timed`` [engine]: how many of ``every`` cell it was asked for, where that is not all."""
    # A pass without an intervention comes before those of the cells.
    scale = {name: (every + 1) / (timed.get(name, every) + 1) for name in rounds.times}
    times = {name: [t * scale[name] for t in took] for name, took in rounds.times.items()}
    for engine, took in times.items():
        ratios = [loop / own for loop, own in zip(times["hooks"], took, strict=True)]
        best = min(took)
        lines.say({**say, "task": task, "engine": engine, "seconds": round(best, 4),
                   "rounds": [round(t, 4) for t in took],
                   "times_faster_than_hooks": round(statistics.median(ratios), 2),
                   "ratios": [round(min(ratios), 2), round(max(ratios), 2)],
                   "of_the_possible": round(ideal / best, 3),
                   "peak_mib": round(rounds.peaks[engine] / 2**20),
                   "off": float(f"{rounds.off[engine]:.1e}"),
                   "cells_timed": timed.get(engine, every),
                   "busy_cores": rounds.busy})  # fmt: skip


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
        low, high = one["ratios"]
        rows.append(
            f"| {place} | {one['seconds']:.2f} | {one['times_faster_than_hooks']:.1f}× "
            f"({low:.1f} to {high:.1f}) | "
            f"{one['of_the_possible']:.0%} | {one['peak_mib']} |"
        )
    return "\n".join(rows)


def main() -> None:
    """Measure, and print lines and table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", default=["gpt2-small"], choices=SIZES)
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--task", nargs="+", default=["heads", "trace", "preview"])
    parser.add_argument("--measure", default="prob", choices=("logit", "prob"), help="the trace's")
    parser.add_argument("--engine", nargs="+", default=[], choices=NAMES)
    parser.add_argument("--python", nargs="+", default=[], help="engine=interpreter")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=AGREEMENT)
    parser.add_argument("--threads", type=int, default=2)
    add_save(parser, "grids")
    parser.add_argument("--add", action="store_true", help="add to results/grids.jsonl")
    chosen = parser.parse_args()
    lines = Lines("grids", chosen.save, add=chosen.add, threads=chosen.threads)
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
