"""The whole logit lens against what cannot be spared: the forward pass and the unembedding products.

    python -m benchmarks.lens [--tokens 64] [--rounds 5] [--tiny]

One run, A B A B: the bare arithmetic is one forward pass of the model's body and, for the embedding and
each layer, the product of its residual stream at every position with the unembedding. The lens adds the
final norm, top tokens, entropy, KL and rank. The aim: at most 1.5× at GPT-2-small size.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from benchmarks.lines import measured_where
from benchmarks.models import MODELS, opened, random_case
from interpboard.circuits.lens.logit import logit_lens
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import record
from tests.lm import case


@torch.no_grad()
def bare(lm: LanguageModel, prompt: PromptInfo, residuals: torch.Tensor) -> None:
    """One forward pass of the body, and every layer's stream [pos, d_model] times the unembedding."""
    lm.anatomy.base(input_ids=input_ids(lm, prompt), use_cache=False)
    for residual in residuals:
        residual @ lm.anatomy.unembedding.weight.T  # type: ignore[operator]


def timed(work: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny", action="store_true", help="only see that it runs")
    chosen = parser.parse_args()
    print(f"{measured_where()}\n")
    print("| model | tokens | bare, s | lens, s | ratio |\n|---|---|---|---|---|")
    for name in ("tiny",) if chosen.tiny else MODELS:
        if chosen.tiny:
            lm, prompt, metric = case("gpt2")
        else:
            lm = opened(name)
            prompt, metric = random_case(lm, chosen.tokens)
        residuals = record(lm, prompt).residuals()
        bare(lm, prompt, residuals)
        logit_lens(lm, prompt, metric)
        alone, whole = [], []
        for _ in range(chosen.rounds):
            alone.append(timed(lambda: bare(lm, prompt, residuals)))  # noqa: B023
            whole.append(timed(lambda: logit_lens(lm, prompt, metric)))  # noqa: B023
        low, high = statistics.median(alone), statistics.median(whole)
        shown = f"| {name} | {len(prompt.token_ids)} | {low:.4f} | {high:.4f} | {high / low:.2f}× |"
        print(shown, flush=True)


if __name__ == "__main__":
    main()
