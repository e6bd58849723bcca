"""What models cost that do not run here: a Llama of 1B planned and run, 8B and 70B reckoned by it.

``plan`` has no formula beside the code: it runs a few steps of the job and prices the others. So seconds of a
model that is not there are its operations (``benchmarks.work``) at the share of the machine's rate that the
model that is there reached. Its memory is by the rules that decide how much is computed at once
(``runs/steps.py``), which need its shape alone; they are held against what the model here took.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch
import transformers as tf

from benchmarks import work
from benchmarks.engines.interpboard import opened
from benchmarks.live_tensors import LiveTensors
from benchmarks.sizes import SIZES, random_ids
from benchmarks.worker import product_rate
from interpboard.analyze import analyze
from interpboard.models.anatomy import find_anatomy
from interpboard.models.memory import peak_memory
from interpboard.planning import plan
from interpboard.runs.steps import StepSize, bytes_of_a_layer, numbers_a_token, rows_of_a_recording

TOKENS, SAMPLES = 8, 2
ASKED: dict[str, dict[str, Any]] = {
    "head_ablation": {},
    "causal_trace": {"subject": [1, 2], "samples": SAMPLES},
}
H200, OF_IT = 790e12, 0.6
"""Operations a second of a card's bfloat16 products, and the share of them that a grid is to reach."""


def llama_70b() -> Any:
    """80 layers, 64 heads on 8 key/value heads, d_model 8192, vocabulary 128,256."""
    return tf.LlamaForCausalLM(
        tf.LlamaConfig(
            vocab_size=128_256, hidden_size=8192, intermediate_size=28_672, num_hidden_layers=80,
            num_attention_heads=64, num_key_value_heads=8,
        )
    )  # fmt: skip


def operations(widths: work.Widths, name: str, length: int) -> float:
    """That the analysis cannot be had without."""
    if name == "head_ablation":
        return work.head_grid(widths, length)
    return work.trace(widths, length, SAMPLES, 1)


def on_paper(name: str = "llama-1b") -> Iterator[dict[str, Any]]:
    """A line for each analysis of the model that runs here, then for each of those that do not."""
    torch.manual_seed(0)
    lm = opened(SIZES[name]().eval().requires_grad_(False))
    text = " ".join(map(str, random_ids(lm.anatomy.d_vocab, TOKENS)))
    rate = product_rate(2048)
    clock, time.perf_counter = time.perf_counter, time.process_time  # a plan times its steps by it
    analyze(lm, text, ("predictions",))  # what is imported on first use is there
    widths, shares = work.Widths.of(lm.model.config), {}
    for analysis, params in ASKED.items():
        (planned,) = plan(lm, text, (analysis,), params={analysis: params})
        began = time.process_time()
        with peak_memory(lm.device) as peak:
            analyze(lm, text, (analysis,), params={analysis: params})
        took = time.process_time() - began
        with LiveTensors() as tensors:
            analyze(lm, text, (analysis,), params={analysis: params})
        needs = operations(widths, analysis, TOKENS)
        shares[analysis] = needs / rate / took
        mib = {"planned": planned.bytes_peak or 0, "taken": peak.above or 0,
               "tensors": tensors.most, "by_rules": by_rules(lm, analysis, TOKENS)}  # fmt: skip
        yield {"part": "paper", "shape": "1B", "analysis": analysis, "tokens": TOKENS,
               "tflop": round(needs / 1e12, 2), "rate_gflops": round(rate / 1e9),
               "of_the_rate": round(shares[analysis], 2), "planned_s": round(planned.seconds, 1),
               "cpu_s": round(took, 1), "planned_rows": planned.rows,
               "planned_passes": planned.forward_passes,
               "mib": {key: round(size / 2**20) for key, size in mib.items()}}  # fmt: skip
    time.perf_counter = clock
    for shape, make in {"1B": SIZES[name], "8B": SIZES["llama-8b"], "70B": llama_70b}.items():
        with torch.device("meta"):
            model = make()
        for analysis in ASKED:
            needs = operations(work.Widths.of(model.config), analysis, 64)
            yield {"part": "paper", "shape": shape, "analysis": analysis, "tokens": 64,
                   "tflop": round(needs / 1e12, 1),
                   "cpu_h": round(needs / rate / shares[analysis] / 3600, 2),
                   "h200_s": round(needs / (OF_IT * H200), 2),
                   "mib_by_rules": round(by_rules(shape_of(model), analysis, 64) / 2**20)}  # fmt: skip


def shape_of(model: Any) -> Any:
    """As much of a ``LanguageModel`` as the rules look at, of a model whose weights are not there."""
    verified = SimpleNamespace(alone=False, path="replay", blocks=True)
    return SimpleNamespace(
        device=torch.device("cpu"), model=model, anatomy=find_anatomy(model), verified=verified
    )


def by_rules(lm: Any, analysis: str, length: int) -> int:
    """Bytes on a CPU: of the recorded runs their states, head outputs, keys and values in every layer, what
    one layer has meanwhile of the rows of a first step, and the keys and values that these start from."""
    anatomy, width = lm.anatomy, lm.anatomy.embedding.weight.element_size()
    keys, heads = (numbers_a_token(lm, site, length) for site in ("k", "z"))
    step, samples = StepSize(lm, None), 1
    cells, firsts = anatomy.n_layers * anatomy.n_heads, [0]
    if analysis == "causal_trace":
        samples = min(1 + SAMPLES, rows_of_a_recording(lm, length))
        cells, firsts = anatomy.n_layers * SAMPLES, list(range(1, length))
    runs = samples * length * anatomy.n_layers * (anatomy.d_model + heads + 2 * keys)
    copied = 2 * heads if anatomy.n_kv_heads != anatomy.n_heads else 0  # for each head of a group
    most = 0
    for first in firsts:
        rows = min(cells, step.rows(first, length))
        reused = rows * length * (4 * keys + copied) if first else 0
        most = max(most, reused * width + bytes_of_a_layer(lm, rows * (length - first)))
    return int(runs * width + most)
