"""Whole grids of interventions against a loop of plain hooked forwards, in one run, A B A B.

    python benchmarks/grids.py [--lengths 16 64] [--rounds 2]

Head grid: every head of every layer zero-ablated. Causal trace: ten noise samples, every layer and
position restored, where the loop runs one forward of eleven rows a cell. Values must agree before
anything is timed; the loop of the trace is timed on some of its cells and scaled to all of them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.models import MODELS, opened, random_case
from interpboard.circuits.head_ablation import head_ablation
from interpboard.models.language_model import LanguageModel
from interpboard.patching.causal_tracing import causal_trace
from interpboard.results import PromptInfo
from interpboard.runs.metrics import Metric
from interpboard.runs.noise import embedding_noise
from interpboard.runs.prompt import input_ids

SAMPLES = 10
TRACE_CELLS = 24  # cells of the trace that the loop is timed on


@torch.no_grad()
def looped_heads(lm: LanguageModel, prompt: PromptInfo, metric: Metric) -> np.ndarray:
    """One plain hooked forward a head."""
    ids, values = input_ids(lm, prompt), []
    for layer in range(lm.anatomy.n_layers):
        size = lm.anatomy.d_head[layer]
        for head in range(lm.anatomy.n_heads):

            def cut(_m, args, head=head, size=size):
                z = args[0].clone()
                z[..., head * size : (head + 1) * size] = 0
                return (z,)

            handle = lm.anatomy.out_proj[layer].register_forward_pre_hook(cut)
            logits = lm.model(input_ids=ids).logits[:, -1]
            handle.remove()
            values.append(float(metric.of(logits)[0]) - metric.baseline)
    return np.array(values).reshape(lm.anatomy.n_layers, -1)


@torch.no_grad()
def looped_trace(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, cells: list[tuple[int, int]]
) -> np.ndarray:
    """One forward of eleven rows a cell: row 0 clean, the others noised; the state restored in all."""
    ids = input_ids(lm, prompt).expand(SAMPLES + 1, -1)
    noise = [edits[0].value for edits in embedding_noise(lm, (1, 2), 3.0, SAMPLES, 0)]
    values = []

    def drown(_m, _args, out):
        out = out.clone()
        for row, value in enumerate(noise):
            out[row + 1, [1, 2]] += value
        return out

    for layer, position in cells:

        def restore(_m, _args, out, position=position):
            hidden = (out[0] if isinstance(out, tuple) else out).clone()
            hidden[1:, position] = hidden[0, position]
            return (hidden, *out[1:]) if isinstance(out, tuple) else hidden

        handles = [
            lm.anatomy.embedding.register_forward_hook(drown),
            lm.anatomy.layers[layer].register_forward_hook(restore),
        ]
        logits = lm.model(input_ids=ids).logits[:, -1]
        for handle in handles:
            handle.remove()
        values.append(metric.of(logits)[1:].double().numpy())
    return np.array(values)


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(lm: LanguageModel, length: int, rounds: int) -> None:
    """Two rows of the table."""
    prompt, metric = random_case(lm, length)
    ours = head_ablation(lm, prompt, metric).values
    np.testing.assert_allclose(ours, looped_heads(lm, prompt, metric), rtol=1e-3, atol=1e-4)
    loop, grid = [], []
    for _ in range(rounds):
        loop.append(timed(lambda: looped_heads(lm, prompt, metric)))
        grid.append(timed(lambda: head_ablation(lm, prompt, metric)))
    row("head grid", lm, length, min(loop), min(grid))

    every = [(layer, pos) for layer in range(lm.anatomy.n_layers) for pos in range(length)]
    some = every[:: max(1, len(every) // TRACE_CELLS)]
    traced = causal_trace(lm, prompt, metric, subject=(1, 2))
    corrupted = metric.baseline - float(traced.extra["total_effect"].values)
    expected = looped_trace(lm, prompt, metric, some).mean(1) - corrupted
    measured = np.array([traced.values[cell] for cell in some])
    np.testing.assert_allclose(measured, expected, rtol=1e-3, atol=1e-4)
    loop, grid = [], []
    for _ in range(rounds):
        took = timed(lambda: looped_trace(lm, prompt, metric, some))
        loop.append(took * len(every) / len(some))
        grid.append(timed(lambda: causal_trace(lm, prompt, metric, subject=(1, 2))))
    row("causal trace", lm, length, min(loop), min(grid))


def row(task: str, lm: LanguageModel, length: int, loop: float, ours: float) -> None:
    """One line of the table."""
    print(
        f"| {task} | {lm.info.name} | {length} | {loop:.2f} | {ours:.2f} | {loop / ours:.1f}× |",
        flush=True,
    )


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args()
    print("| task | model | tokens | loop, s | InterpBoard, s | ratio |\n|---|---|---|---|---|---|")
    for name in MODELS:
        lm = opened(name)
        for length in chosen.lengths:
            compare(lm, length, chosen.rounds)


if __name__ == "__main__":
    main()
