"""What ``--plan`` says against what then happens: seconds, passes and memory, of the analyses that cost most.

    python -m benchmarks.planning [--model gpt2-small] [--tokens 32] [--device cpu] [--dtype float32]
        [--only NAME ...] [--cpu-time] [--save]

Each analysis is planned, then run, in one process; forward passes are counted by hooks in both. Lines of
JSON, then a table: the aim is seconds and memory within a factor of 1.5. ``--cpu-time``: both in seconds of
this process's CPU time, which is fair where other work is on the cores; use one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.engines.interpboard import opened
from benchmarks.lines import Lines, add_save
from benchmarks.sizes import SIZES, built, random_ids
from interpboard.analyze import analyze
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import peak_memory
from interpboard.planning import plan


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

    def hook(_module: Any, args: Any, kwargs: Any, _output: Any) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        seen[0] += hidden.shape[0] * hidden.shape[1] / (tokens * lm.anatomy.n_layers)

    handles = [layer.register_forward_hook(hook, with_kwargs=True) for layer in lm.anatomy.layers]
    yield seen
    for handle in handles:
        handle.remove()


def main() -> None:
    """Plan, run, and print both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="gpt2-small", choices=SIZES)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--only", nargs="+", default=list(tasks("")), choices=list(tasks("")))
    parser.add_argument("--cpu-time", action="store_true", help="CPU time in place of the clock's")
    add_save(parser, "planning")
    chosen = parser.parse_args()
    if chosen.cpu_time:
        time.perf_counter = time.process_time  # a plan times its steps by it
    lines = Lines("planning", chosen.save, device=chosen.device, dtype=chosen.dtype,
                  seconds="of CPU" if chosen.cpu_time else "of the clock")  # fmt: skip
    lm = opened(built(chosen.model, chosen.device, chosen.dtype), chosen.model)
    ids = random_ids(lm.anatomy.d_vocab, chosen.tokens)
    text = " ".join(map(str, ids))
    other = " ".join(str((number + 1) % lm.anatomy.d_vocab) for number in ids)
    analyze(lm, text, ("predictions",))  # what is imported on first use is there
    print("| analysis | planned in, s | planned, run, s | ratio | passes | MiB planned, taken |")
    print("|---|---|---|---|---|---|")
    for name, params in tasks(other).items():
        if name not in chosen.only:
            continue
        began = time.perf_counter()
        (planned,) = plan(lm, text, (name,), params={name: params})
        rehearsed = time.perf_counter() - began
        began = time.perf_counter()
        with counted(lm, chosen.tokens) as seen, peak_memory(lm.device) as peak:
            analyze(lm, text, (name,), params={name: params})
        took = time.perf_counter() - began
        mib = [
            None if size is None else round(size / 2**20)
            for size in (planned.bytes_peak, peak.above)
        ]
        lines.say({"model": chosen.model, "tokens": chosen.tokens, "analysis": name,
                   "planned_s": round(planned.seconds, 3), "took_s": round(took, 3),
                   "ratio": round(planned.seconds / took, 2), "planned_in_s": round(rehearsed, 3),
                   "passes_planned": planned.forward_passes, "passes": round(seen[0], 1),
                   "mib_planned": mib[0], "mib": mib[1]})  # fmt: skip
    for line in lines.told:
        cells = (
            line["analysis"],
            f"{line['planned_in_s']:.2f}",
            f"{line['planned_s']:.2f}, {line['took_s']:.2f}",
            f"{line['ratio']:.2f}",
            f"{line['passes_planned']:.0f}, {line['passes']:.0f}",
            f"{line['mib_planned']}, {line['mib']}",
        )
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
