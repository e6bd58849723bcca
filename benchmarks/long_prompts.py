"""The most memory that each analysis takes above the loaded model with a long prompt.

    python -m benchmarks.long_prompts [--model gpt2-small] [--lengths 1024 4096] [--only NAME ...] [--save]

Random weights, float32, each analysis in a process of its own: it is rehearsed as ``--plan`` does it, so it
is stopped after its first steps. Of its long loops the first two are taken, whose rows are the longest, and
the last, whose rows bring most keys and values along; the largest resident memory is read. The aim is at
most 1,024 MiB. Seconds are no timings.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import torch

from benchmarks.engines.interpboard import opened
from benchmarks.lines import Lines, add_save
from benchmarks.sizes import SIZES, built, random_ids
from interpboard.errors import InterpBoardError
from interpboard.planning import plan
from interpboard.registry import ANALYSES
from interpboard.runs import rehearsal

AIM_MIB = 1024
OWN: dict[str, str] = {  # what is measured with other parameters than its own, beside itself
    "patching, z": "activation_patching",
    "patching, q": "activation_patching",
    "patching, pattern": "activation_patching",
    "patching, neuron": "activation_patching",
    "path_patching, heads and an MLP": "path_patching",
    "AtP, pattern": "attribution_patching",
    "AtP*, q": "attribution_patching",
    "head_ablation, mean": "head_ablation",
    "head_ablation, estimates first": "head_ablation",
}
LEFT_OUT = ("steering", "tune_lens", "max_activating", "tuned_lens", "edited_direct_attribution")
"""What needs files of its own, or has the run of ``what_if`` once more."""


def params(task: str, text: str, other: str) -> dict[str, Any]:
    """What ``task`` is asked for."""
    needed: dict[str, dict[str, Any]] = {
        "causal_trace": {"subject": [1, 2]},
        "activation_patching": {"corrupted": other},
        "attribution_patching": {"corrupted": other},
        "path_patching": {"corrupted": other},
        "path_patching, heads and an MLP": {
            "corrupted": other,
            "receiver": "1.3.q,2.5.k,2.5.v,3.mlp",
        },
        "patching_confidence": {"corrupted": other, "pairs": [[other, text]]},
        "circuit": {"corrupted": other},
        "what_if": {"interventions": "2.5=zero"},
        "continuation_attribution": {"new_tokens": 2},
        "head_ablation, mean": {"ablation": "mean"},
        "head_ablation, estimates first": {"preview": True},
    }
    if task.startswith(("patching, ", "AtP")):
        site = task.split(", ")[1]
        more = {"method": "atp_star"} if "*" in task else {}
        return {"corrupted": other, "site": site, **more}
    return needed.get(task, {})


def measure(task: str, model: str, length: int, threads: int) -> dict[str, Any]:
    """One analysis, in this process."""
    torch.set_num_threads(threads)
    rehearsal.SAMPLED = (1.0,)
    lm = opened(built(model, positions=length), model)
    ids = random_ids(lm.anatomy.d_vocab, length)
    other = [*ids[:1], (ids[1] + 1) % lm.anatomy.d_vocab, *ids[2:]]
    text = " ".join(map(str, ids))
    asked = params(task, text, " ".join(map(str, other)))
    name = OWN.get(task, task)
    began = time.perf_counter()
    line: dict[str, Any] = {"task": task, "model": model, "tokens": length}
    try:
        (planned,) = plan(lm, text, (name,), params={name: asked})
    except InterpBoardError as error:
        return {**line, "seconds": round(time.perf_counter() - began, 1), "refused": str(error)}
    return {**line, "seconds": round(time.perf_counter() - began, 1),
            "peak_mib": round((planned.bytes_peak or 0) / 2**20),
            "planned_s": round(planned.seconds, 1)}  # fmt: skip


def table(lines: list[dict[str, Any]]) -> str:
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
    if "peak_mib" not in line:
        return "refused"
    mib = str(line["peak_mib"])
    return f"**{mib}**" if line["peak_mib"] > AIM_MIB else mib


def main() -> None:
    """Measure each analysis in a process of its own, so that none inherits the memory of another."""
    tasks = [*(name for name in ANALYSES if name not in LEFT_OUT), *OWN]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gpt2-small", choices=SIZES)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--only", nargs="+", default=tasks, choices=tasks)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--here", action="store_true", help="one analysis, in this process")
    add_save(parser, "long_prompts")
    chosen = parser.parse_args()
    if chosen.here:
        found = measure(chosen.only[0], chosen.model, chosen.lengths[0], chosen.threads)
        print(json.dumps(found))
        return
    lines = Lines(
        "long_prompts", chosen.save, dtype="float32", device="cpu", threads=chosen.threads
    )
    for length in chosen.lengths:
        for task in chosen.only:
            words = ["--model", chosen.model, "--lengths", str(length), "--only", task]
            words += ["--threads", str(chosen.threads), "--here"]
            ended = subprocess.run(
                [sys.executable, "-m", "benchmarks.long_prompts", *words],
                check=False, capture_output=True, text=True,
            )  # fmt: skip
            if ended.returncode:
                lines.say({"task": task, "model": chosen.model, "tokens": length,
                           "refused": f"ended with {ended.returncode}: {ended.stderr[-300:]}"})  # fmt: skip
            else:
                lines.say(json.loads(ended.stdout.splitlines()[-1]))
    print(table(lines.told))


if __name__ == "__main__":
    main()
