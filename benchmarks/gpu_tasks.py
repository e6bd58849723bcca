"""The tasks of ``benchmarks.gpu``, one after another in one process.

Values: the engines' head grid, trace, integrated gradients and lens against plain hooks, captum and plain
Hugging Face, in float32 (TF32 off); in bfloat16 both against the float32 run of the same rounded weights,
where ours may be off by little more than plain hooks are. Times: engines in turn, the best of the rounds; a
loop of plain hooks on a large model is timed on some heads and scaled.
"""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import work
from benchmarks.bench import Bench, in_turns, off
from benchmarks.engines import batched_hooks, hooks
from benchmarks.engines.interpboard import Engine
from benchmarks.plain import plain_lens
from benchmarks.sizes import built, random_ids
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.lens.logit import logit_lens
from interpboard.errors import Cancelled
from interpboard.patching.activation import activation_patching
from interpboard.results import LabelledArray
from interpboard.runs.watch import Watch

try:
    from benchmarks.engines import captum
except ImportError:  # an extra of the tests
    captum = None  # type: ignore[assignment]

AGREE = 2e-4
"""Of the largest value, in float32: products of other shapes round otherwise."""


def values(bench: Bench, size: str, length: int) -> None:
    """float32: ours against plain hooks, captum and plain Hugging Face."""
    model = built(size, bench.device)
    ours, loop = Engine(model), hooks.Engine(model)
    ids = random_ids(model.config.vocab_size, length)
    target = _top(model, ids)
    found = {"head grid": off(ours.head_grid(ids, target), loop.head_grid(ids, target))}
    noise = ours.noise(3)
    cells = [(layer, at) for layer in range(len(loop.parts.layers)) for at in (1, length // 2)]
    found["causal trace"] = off(
        ours.trace(ids, target, noise, cells), loop.trace(ids, target, noise, cells)
    )
    prompt, metric = ours._case(ids, target)
    lens = logit_lens(ours.lm, prompt, metric)
    found["lens"] = off(lens.values, plain_lens(model, ids)[:, :, target].cpu())
    if captum:
        asked = {"baseline": 0, "n_steps": 50}
        expected = captum.Engine(model).integrated_gradients(ids, target, rows=10, **asked)
        found["integrated gradients"] = off(
            ours.integrated_gradients(ids, target, **asked), expected
        )
    wrong = sorted(name for name, share in found.items() if not share <= AGREE)
    bench.say(task="values", model=size, tokens=length, dtype="float32", off=_short(found),
              path=ours.lm.verified.path, notes=list(ours.lm.info.notes), wrong=wrong)  # fmt: skip
    bench.failed += [f"values of {size}: {name}" for name in wrong]


def rounded_values(bench: Bench, size: str, length: int) -> None:
    """bfloat16: ours and plain hooks, both against the same weights in float32."""
    model = built(size, bench.device, "bfloat16")
    ids = random_ids(model.config.vocab_size, length)
    target = _top(model, ids)
    ours, loop = Engine(model), hooks.Engine(model)
    found, plain = ours.head_grid(ids, target), loop.head_grid(ids, target)
    verified, notes = ours.lm.verified, list(ours.lm.info.notes)
    del ours
    exact = hooks.Engine(model.float()).head_grid(ids, target)
    mine, theirs = off(found, exact), off(plain, exact)
    # An effect is a difference of two rounded logits: both engines draw from the same rounding.
    wrong = [] if mine <= 1.5 * theirs + 2**-8 else ["head grid"]
    bench.say(task="values", model=size, tokens=length, dtype="bfloat16",
              off=_short({"ours": mine, "plain hooks": theirs}), path=verified.path,
              sites=sorted({s for layer in range(len(loop.parts.layers)) for s in verified.at(layer)}),
              notes=notes, wrong=wrong)  # fmt: skip
    bench.failed += [f"values of {size} in bfloat16: {name}" for name in wrong]


def head_grids(bench: Bench, size: str, dtype: str, lengths: list[int], some: int) -> None:
    """The head grid by three engines; the loop on ``some`` layers (0: all)."""
    model = built(size, bench.device, dtype)
    opening, _, ours = bench.timed(lambda: Engine(model))
    batched, loop = batched_hooks.Engine(model), hooks.Engine(model)
    layers = len(loop.parts.layers)
    timed = some or layers
    cells = [(layer, head) for layer in range(timed) for head in range(loop.parts.n_heads)]
    widths = work.Widths.of(model.config)
    for length in lengths:
        ids = random_ids(model.config.vocab_size, length)
        target = _top(model, ids)
        times = in_turns(
            bench, 3, ours=lambda: ours.head_grid(ids, target),  # noqa: B023
            batched_hooks=lambda: batched.head_grid(ids, target),  # noqa: B023
        )  # fmt: skip
        seconds = bench.timed(lambda: loop.head_grid(ids, target, cells))[0]  # noqa: B023
        seconds *= layers / timed
        best = times["ours"]["best"]
        bench.say(task="head grid", model=size, dtype=dtype, tokens=length, **times,
                  loop=round(seconds, 3), times_faster_than_loop=round(seconds / best, 1),
                  times_faster_than_batched=round(times["batched_hooks"]["best"] / best, 2),
                  tflops=round(work.head_grid(widths, length) / best / 1e12, 1),
                  opening_s=round(opening, 2))  # fmt: skip
    _estimates(bench, ours, size, dtype, lengths)
    _cancel(bench, ours, size, dtype, lengths[-1])
    _growth(bench, ours, size, dtype, lengths[0])


def _estimates(bench: Bench, ours: Engine, size: str, dtype: str, lengths: list[int]) -> None:
    for length in lengths:
        ids = random_ids(ours.lm.anatomy.d_vocab, length)
        pairs = [ours.preview(ids, 5) for _ in range(5)]
        passed, estimated = (float(np.median(part)) for part in zip(*pairs, strict=True))
        bench.say(task="estimates", model=size, dtype=dtype, tokens=length,
                  seconds=round(estimated, 4), forward=round(passed, 4))  # fmt: skip


def _cancel(bench: Bench, ours: Engine, size: str, dtype: str, length: int) -> None:
    """Seconds from a cancel in the middle of a grid to its end, and to the first values of one."""
    ids = random_ids(ours.lm.anatomy.d_vocab, length)
    prompt, metric = ours._case(ids, 5)
    asked, first = threading.Event(), []
    began = time.perf_counter()

    def hear(_done: int, _total: int, part: LabelledArray | None) -> None:
        if part is not None and not first:
            first.append(time.perf_counter() - began)

    whole = bench.timed(lambda: head_ablation(ours.lm, prompt, metric, watch=Watch(hear)))[0]
    timer = threading.Timer(whole / 2, asked.set)
    timer.start()
    started = time.perf_counter()
    try:
        head_ablation(ours.lm, prompt, metric, watch=Watch(cancelled=asked.is_set))
        stopped = None
    except Cancelled:
        stopped = round(time.perf_counter() - started - whole / 2, 4)
    timer.join()
    bench.say(task="cancel", model=size, dtype=dtype, tokens=length, whole=round(whole, 4),
              first_values=round(first[0], 4) if first else None, cancelled_after=stopped)  # fmt: skip


def _growth(bench: Bench, ours: Engine, size: str, dtype: str, length: int) -> None:
    """Bytes held after ten grids above those after one."""
    if bench.device == "cpu":
        return
    ids = random_ids(ours.lm.anatomy.d_vocab, length)
    ours.head_grid(ids, 5)
    held = torch.cuda.memory_allocated()
    for _ in range(10):
        ours.head_grid(ids, 5)
    grown = torch.cuda.memory_allocated() - held
    bench.say(task="growth over ten grids", model=size, dtype=dtype, bytes=grown)
    if grown > 1 << 20:
        bench.failed.append(f"memory grows on {size}")


def others(bench: Bench, size: str, dtype: str, length: int) -> None:
    """Integrated gradients against captum, the lens against plain Hugging Face, trace, patching."""
    model = built(size, bench.device, dtype)
    ours = Engine(model)
    ids = random_ids(model.config.vocab_size, length)
    target = _top(model, ids)
    prompt, metric = ours._case(ids, target)
    say = {"model": size, "dtype": dtype, "tokens": length}
    times = in_turns(bench, 3, ours=lambda: logit_lens(ours.lm, prompt, metric),
                     plain=lambda: plain_lens(model, ids))  # fmt: skip
    bench.say(task="lens", **say, **times)
    asked = {"baseline": 0, "n_steps": 50}
    engines = {"ours": lambda: ours.integrated_gradients(ids, target, **asked)}
    if captum:
        theirs = captum.Engine(model)
        engines |= {
            f"captum_{rows}": lambda rows=rows: theirs.integrated_gradients(  # type: ignore[misc]
                ids, target, rows=rows, kept=1, **asked
            )
            for rows in (10, 50)
        }
    bench.say(task="integrated gradients", **say, **in_turns(bench, 3, **engines))
    noise = ours.noise(10)
    widths = work.Widths.of(model.config)
    times = in_turns(bench, 2, ours=lambda: ours.trace(ids, target, noise, None))
    flops = work.trace(widths, length, 10, 1)
    bench.say(task="causal trace", **say, **times,
              tflops=round(flops / times["ours"]["best"] / 1e12, 1))  # fmt: skip
    other = " ".join(map(str, random_ids(model.config.vocab_size, length)[::-1]))
    for site in ("resid_pre", "z", "mlp_out"):
        times = in_turns(bench, 2, ours=lambda: activation_patching(
            ours.lm, prompt, metric, corrupted=other, site=site))  # noqa: B023  # fmt: skip
        bench.say(task=f"patching {site}", **say, **times)


def profile(bench: Bench, size: str, dtype: str, length: int, folder: str) -> None:
    """Where a head grid's time goes: kernels and host, as torch's profiler counts them."""
    model = built(size, bench.device, dtype)
    ours = Engine(model)
    ids = random_ids(model.config.vocab_size, length)
    ours.head_grid(ids, 5)
    kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds) as seen:
        ours.head_grid(ids, 5)
        bench.settle()
    for order in ("cuda_time_total", "cpu_time_total"):
        table = seen.key_averages().table(sort_by=order, row_limit=25, max_name_column_width=60)
        Path(folder, f"profile_{size}_{length}_{order}.txt").write_text(table, encoding="utf-8")


@torch.no_grad()
def _top(model: Any, ids: list[int]) -> int:
    given = torch.tensor([ids], device=model.device)
    return int(model(input_ids=given).logits[0, -1].argmax())


def _short(found: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{share:.2g}") for name, share in found.items()}


def tasks(quick: bool, dry: bool, profiles: str | None) -> list[tuple[Any, ...]]:
    """Name, function and what it is given besides the bench, in the order of their weight: values first."""
    tiny = ("tiny-gpt2", "tiny-llama", "tiny-llama")
    small, llama, large = tiny if dry else ("gpt2-small", "llama-12", "llama-8b")
    lengths = [8] if dry else [64, 256]
    found: list[tuple[Any, ...]] = []
    for size in (small, llama):
        found += [("values", values, size, 16), ("values", rounded_values, size, 16)]
    found += [
        ("head grid", head_grids, small, "bfloat16", lengths, 0),
        ("head grid", head_grids, large, "bfloat16", lengths[:1], 1),
    ]
    if profiles:
        found += [("profile", profile, small, "bfloat16", lengths[0], profiles)]
    found += [("others", others, small, "bfloat16", lengths[0])]
    if not quick:
        found += [
            ("head grid", head_grids, small, "float32", lengths, 0),
            ("others", others, small, "float32", lengths[0]),
            ("others", others, large, "bfloat16", lengths[0]),
        ]
        if profiles:
            found += [("profile", profile, large, "bfloat16", lengths[0], profiles)]
    return found


def main() -> None:
    """Do the tasks from the one of number ``--first`` on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--profile")
    parser.add_argument("--dry-run", action="store_true")
    chosen = parser.parse_args()
    device = "cpu" if chosen.dry_run else "cuda"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    card = "none" if chosen.dry_run else torch.cuda.get_device_name()
    bench = Bench(device, card)
    every = tasks(chosen.quick, chosen.dry_run, chosen.profile)
    for number, (name, task, *given) in list(enumerate(every))[chosen.first :]:
        bench.run(number, len(every), name, task, *given)


if __name__ == "__main__":
    main()
