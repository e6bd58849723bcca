"""The most memory that each analysis takes above the loaded model with a long prompt.

    python -m benchmarks.long_prompts [--model gpt2-small] [--lengths 1024 4096] [--only NAME ...]
        [--most SECONDS] [--no-products] [--add]

Random weights, float32. The model is opened once, and each analysis measured in a fork of that process: it is
rehearsed as ``--plan`` does it, so it is stopped after its first steps. Of its long loops the first step is
taken, whose rows are the longest, and the last, whose rows bring most keys and values along; the largest
resident memory is read. The aim is at most 1,024 MiB. Seconds are no timings. What has not ended after
``--most`` seconds of CPU is stopped: ``peak_mib`` is then what it had reached, ``rose_s`` when it last rose.
With ``--no-products`` matrix products are not computed, which takes less time and may take less memory, see
``without_products``. With ``--whole`` nothing is rehearsed:
``taken_mib`` is what the analysis itself took, to be held against ``peak_mib`` of shorter prompts.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from benchmarks.engines.interpboard import opened
from benchmarks.lines import Lines
from benchmarks.long_prompt_tasks import TASKS, asked_for
from benchmarks.sizes import SIZES, built, random_ids
from benchmarks.without_products import WithoutProducts
from interpboard.analyze import analyze
from interpboard.errors import InterpBoardError
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import peak_memory
from interpboard.planning import plan
from interpboard.runs import rehearsal

AIM_MIB = 1024
ROSE_BY = 4 << 20
"""What counts as a rise of the peak, bytes."""


def measure(
    lm: LanguageModel, task: str, length: int, chosen: argparse.Namespace, answer: Connection
) -> None:
    """One analysis, in this process, which is a fork: sends what was planned, or why it was refused."""
    rehearsal.AT_FIRST, rehearsal.SAMPLED = 1, (1.0,)
    ids = random_ids(lm.anatomy.d_vocab, length)
    other = [*ids[:1], (ids[1] + 1) % lm.anatomy.d_vocab, *ids[2:]]
    with tempfile.TemporaryDirectory() as folder:
        name, params, text = asked_for(lm, task, ids, other, Path(folder))
        answer.send(None)  # what it needs is there
        try:
            with WithoutProducts() if chosen.no_products else nullcontext():
                found = (_taken if chosen.whole else _planned)(lm, name, params, text)
            answer.send(found)
        except InterpBoardError as error:
            answer.send({"refused": str(error)})


def _planned(lm: LanguageModel, name: str, params: dict[str, Any], text: str) -> dict[str, Any]:
    (planned,) = plan(lm, text, (name,), params={name: params})
    peak = round((planned.bytes_peak or 0) / 2**20)
    return {"peak_mib": peak, "planned_s": round(planned.seconds, 1)}


def _taken(lm: LanguageModel, name: str, params: dict[str, Any], text: str) -> dict[str, Any]:
    with peak_memory(lm.device) as peak:
        analyze(lm, text, (name,), params={name: params})
    return {"taken_mib": round((peak.above or 0) / 2**20)}


def watched(
    lm: LanguageModel, task: str, length: int, chosen: argparse.Namespace
) -> dict[str, Any]:
    """``measure`` in a fork, which is ended once it has taken ``--most`` seconds of CPU."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    began = time.perf_counter()
    child = context.Process(target=measure, args=(lm, task, length, chosen, there))
    child.start()
    there.close()
    line: dict[str, Any] = {"task": task, "model": chosen.model, "tokens": length}
    if chosen.no_products:
        line["products"] = False
    found: dict[str, Any] | None = None
    at_first, highest, rose = 0, 0, 0.0
    try:
        while found is None:
            if here.poll(0.5):
                found = here.recv()
                if found is None:  # it begins
                    at_first = highest = _status(child.pid, "VmRSS")
                continue
            cpu, peak = _cpu(child.pid), _status(child.pid, "VmHWM")
            if peak > highest + ROSE_BY:
                highest, rose = peak, cpu
            if chosen.most and cpu > chosen.most:
                child.terminate()
                found = {"peak_mib": (highest - at_first) >> 20, "rose_s": round(rose),
                         "stopped": f"after {cpu:.0f} s of CPU"}  # fmt: skip
    except EOFError:
        found = {"refused": "ended without an answer"}
    child.join()
    return {**line, "seconds": round(time.perf_counter() - began, 1), **found}


def _status(pid: int | None, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def _cpu(pid: int | None) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def table(lines: Sequence[dict[str, Any]]) -> str:
    """Markdown: MiB above the model by analysis and length, what is above the aim in bold."""
    lengths = sorted({line["tokens"] for line in lines})
    rows = [
        f"| analysis | {' | '.join(f'{n:,}' for n in lengths)} |",
        f"|{'---|' * (1 + len(lengths))}",
    ]
    for task in dict.fromkeys(line["task"] for line in lines):
        found = {line["tokens"]: line for line in lines if line["task"] == task}
        shown = [_cell(found.get(length)) for length in lengths]
        rows.append(f"| {task} | {' | '.join(shown)} |")
    return "\n".join(rows)


def _cell(line: dict[str, Any] | None) -> str:
    if line is None:
        return ""
    if "taken_mib" in line:
        return str(line["taken_mib"])
    if "peak_mib" not in line:
        return "refused"
    mib = f"{line['peak_mib']}{'+' if 'stopped' in line else ''}"
    return f"**{mib}**" if line["peak_mib"] > AIM_MIB else mib


def main() -> None:
    """Measure each analysis in a fork of its own, so that none inherits the memory of another."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gpt2-small", choices=SIZES)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--only", nargs="+", default=list(TASKS), choices=TASKS, metavar="NAME")
    parser.add_argument("--most", type=float, default=0.0, help="seconds of CPU each; 0: any")
    parser.add_argument("--no-products", action="store_true", help="see without_products.py")
    parser.add_argument("--whole", action="store_true", help="run to the end, not rehearsed")
    parser.add_argument("--add", action="store_true", help="behind results/long_prompts.jsonl")
    chosen = parser.parse_args()
    # The fork of a process whose threads have computed would wait for them for ever.
    torch.set_num_threads(1)
    lines = Lines("long_prompts", False, add=chosen.add, dtype="float32", device="cpu",
                  threads=1)  # fmt: skip
    for length in chosen.lengths:
        lm = opened(built(chosen.model, positions=length + 8), chosen.model)
        analyze(lm, "1 2 3", ("predictions", "saliency"))  # what is taken once by every process
        for task in chosen.only:
            lines.say(watched(lm, task, length, chosen))
    print(table(lines.told))


if __name__ == "__main__":
    main()
