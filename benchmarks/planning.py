"""What ``--plan`` says against what then happens: seconds, passes and memory, of the analyses that cost most.

    python -m benchmarks.planning [--model gpt2-small] [--kind plain] [--tokens 32 ...] [--device cpu]
        [--dtype float32] [--only NAME ...] [--cpu-time] [--add]

Forward passes are counted by hooks in both. Lines of JSON, then a table: the aim is seconds and memory within
a factor of 1.5. With one thread each analysis is planned in a fork of the process that opened the model and
run in another, as two commands would; with more, and on a GPU, both in this process, one after the other.
``--cpu-time``: both in seconds of CPU time, which is fair where other work is on the cores.
``--kind``: the model packed, with an adapter or partly on disk, see ``benchmarks.kinds``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from benchmarks.kinds import KINDS, of_kind
from benchmarks.lines import Lines, add_save
from benchmarks.sizes import SIZES, random_ids
from interpboard.analyze import analyze
from interpboard.errors import InterpBoardError
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import peak_memory
from interpboard.models.module_hooks import on_input
from interpboard.planning import plan

Measured = dict[str, Any]


def tasks(other: str) -> dict[str, dict[str, Any]]:
    """The analyses that cost most, with what they need."""
    return {
        "head_ablation": {},
        "causal_trace": {"subject": [1, 2]},
        "activation_patching": {"corrupted": other},
        "path_patching": {"corrupted": other},
        "shapley": {"samples": 8},
        "integrated_gradients": {"n_steps": 128},
        "smoothgrad": {"samples": 64},
        "circuit": {"corrupted": other},
    }


@contextmanager
def counted(lm: LanguageModel, tokens: int) -> Iterator[list[float]]:
    """Forward passes, a layer at a time."""
    seen = [0.0]

    def hear(hidden: torch.Tensor) -> None:
        seen[0] += hidden.shape[0] * hidden.shape[1] / (tokens * lm.anatomy.n_layers)

    with ExitStack() as stack:
        for layer in lm.anatomy.layers:
            stack.enter_context(on_input(layer, hear))
        yield seen


def planned(lm: LanguageModel, text: str, name: str, params: dict[str, Any]) -> Measured:
    """What the plan says, and in how many seconds."""
    began = time.perf_counter()
    (found,) = plan(lm, text, (name,), params={name: params})
    return {"planned_s": round(found.seconds, 3),
            "planned_in_s": round(time.perf_counter() - began, 3),
            "passes_planned": found.forward_passes, "mib_planned": _mib(found.bytes_peak)}  # fmt: skip


def run(lm: LanguageModel, text: str, name: str, params: dict[str, Any]) -> Measured:
    """What the analysis takes."""
    with counted(lm, len(text.split())) as seen, peak_memory(lm.device) as peak:
        began = time.perf_counter()
        analyze(lm, text, (name,), params={name: params})
        took = time.perf_counter() - began
    return {"took_s": round(took, 3), "passes": round(seen[0], 1),
            "mib": _mib(peak.above)}  # fmt: skip


def _mib(size: int | None) -> int | None:
    return None if size is None else round(size / 2**20)


def in_fork(measure: Callable[..., Measured], *given: Any) -> Measured:
    """``measure`` in a fork of this process, which has computed with one thread only."""
    here, there = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(
        target=_answer, args=(there, measure, given)
    )
    child.start()
    there.close()
    try:
        found: Measured = here.recv()
    except EOFError:
        found = {"refused": "ended without an answer"}
    child.join()
    return found


def _answer(there: Connection, measure: Callable[..., Measured], given: tuple[Any, ...]) -> None:
    try:
        there.send(measure(*given))
    except InterpBoardError as error:
        there.send({"refused": str(error)})


def main() -> None:
    """Plan, run, and print both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gpt2-small", choices=SIZES)
    parser.add_argument("--kind", default="plain", choices=KINDS)
    parser.add_argument("--tokens", type=int, nargs="+", default=[32])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--only", nargs="+", default=list(tasks("")), choices=list(tasks("")))
    parser.add_argument("--cpu-time", action="store_true", help="CPU time in place of the clock's")
    add_save(parser, "planning")
    parser.add_argument("--add", action="store_true", help="behind the lines of that file")
    chosen = parser.parse_args()
    if chosen.cpu_time:
        time.perf_counter = time.process_time  # a plan times its steps by it
    forks = chosen.device == "cpu" and torch.get_num_threads() == 1
    lines = Lines("planning", chosen.save, add=chosen.add, device=chosen.device,
                  dtype=chosen.dtype, threads=torch.get_num_threads(), kind=chosen.kind,
                  seconds="of CPU" if chosen.cpu_time else "of the clock")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        lm = of_kind(chosen.kind, chosen.model, Path(folder), chosen.device, chosen.dtype)
        for tokens in chosen.tokens:
            ids = random_ids(lm.anatomy.d_vocab, tokens)
            text = " ".join(map(str, ids))
            other = " ".join(str((number + 1) % lm.anatomy.d_vocab) for number in ids)
            analyze(lm, text, ("predictions",))  # what is imported on first use is there
            for name, params in tasks(other).items():
                if name not in chosen.only:
                    continue
                asked = (lm, text, name, params)
                line = {"model": lm.info.name if chosen.kind == "demo" else chosen.model,
                        "tokens": tokens, "analysis": name}  # fmt: skip
                for measure in (planned, run):
                    if "refused" not in line:
                        line |= in_fork(measure, *asked) if forks else measure(*asked)
                if "took_s" in line:
                    line["ratio"] = round(line["planned_s"] / line["took_s"], 2)
                lines.say(line)
    print(table(lines.told))


def table(lines: list[Measured]) -> str:
    """Markdown: a row for each analysis of each length."""
    rows = [
        "| analysis, tokens | planned in, s | planned, run, s | ratio | passes | MiB planned, taken |",
        "|---|---|---|---|---|---|",
    ]
    for line in lines:
        about = f"{line['analysis']}, {line['tokens']}"
        if "ratio" not in line:
            rows.append(f"| {about} | {line['refused']} | | | | |")
            continue
        cells = (
            about,
            f"{line['planned_in_s']:.2f}",
            f"{line['planned_s']:.2f}, {line['took_s']:.2f}",
            f"{line['ratio']:.2f}",
            f"{line['passes_planned']:.0f}, {line['passes']:.0f}",
            f"{line['mib_planned']}, {line['mib']}",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
