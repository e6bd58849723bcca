"""What opening a model costs beside transformers' own three calls, and where the rest goes.

``python -m benchmarks.loading``: the demo, GPT-2-small in float32, and a Llama of 1.8 GiB in bfloat16, the
last two written to a temporary folder with random weights. Both ways run in turn in one process, after one
of each that is not counted, with the files in the page cache; the ratio is that of the medians. The shares
are those of the headers with the configuration, of laying them beside the model, and of looking at every
weight for NaN.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from safetensors.torch import save_file

from interpboard import load_model_and_tokenizer
from interpboard.models import demo

RUNS = 5
_LLAMA: dict[str, Any] = {
    "vocab_size": 32000, "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 16,
    "num_attention_heads": 16, "num_key_value_heads": 16,
}  # fmt: skip
_SHARES = {
    "reading configuration": "headers",
    "comparing configuration and weights": "account",
    "looking at every weight": "NaN",
}


def plain(folder: Path, dtype: str) -> None:
    """What opening a folder was before its checkpoint was accounted for."""
    config = transformers.AutoConfig.from_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(folder)
    transformers.AutoModelForCausalLM.from_pretrained(
        folder,
        config=config,
        dtype=getattr(torch, dtype),
        use_safetensors=True,
        output_loading_info=True,
    )


def timed(run: Callable[[], object]) -> float:
    """Seconds that ``run`` takes."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def shares_of(folder: Path, dtype: str) -> dict[str, float]:
    """Seconds of each of our own steps, and of the whole."""
    heard: list[tuple[str, float]] = []

    def hear(stage: str, _fraction: float) -> None:
        heard.append((stage, time.perf_counter()))

    whole = timed(lambda: load_model_and_tokenizer(folder, "cpu", dtype, on_stage=hear))
    heard.append(("end", time.perf_counter()))
    found = {"whole": whole}
    for (stage, begin), (_, end) in pairwise(heard):
        if stage in _SHARES:
            found[_SHARES[stage]] = end - begin
    return found


def written(folder: Path, config: Any, dtype: torch.dtype) -> Path:
    """A folder with a random model of ``config``, its tensors made one after the other."""
    with torch.device("meta"):
        empty = transformers.AutoModelForCausalLM.from_config(config)
    tied = set(getattr(empty, "all_tied_weights_keys", None) or ())
    weights = {
        name: torch.empty(value.shape, dtype=dtype).uniform_(-0.05, 0.05)
        for name, value in empty.state_dict().items()
        if name not in tied
    }
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    config.architectures = [type(empty).__name__]
    config.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(demo.DEMO_FOLDER).save_pretrained(folder)
    return folder


def line(name: str, folder: Path, dtype: str) -> str:
    """A row of the table: the model, both medians, their ratio, and the shares of ours."""
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 2**20
    before: list[float] = []
    now: list[dict[str, float]] = []
    for run in range(RUNS + 1):
        one, other = timed(lambda: plain(folder, dtype)), shares_of(folder, dtype)
        if run:
            before.append(one)
            now.append(other)
    took = {key: median(run[key] for run in now) for key in now[0]}
    parts = ", ".join(f"{took[key] * 1e3:.0f}" for key in _SHARES.values())
    return (
        f"| {name}, {dtype}, {size:.0f} MiB | {median(before) * 1e3:.0f} | {took['whole'] * 1e3:.0f} "
        f"| {took['whole'] / median(before):.2f} | {parts} |"
    )


def main() -> None:
    """Print the table."""
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    print("| model | three calls, ms | ours, ms | ratio | of ours: headers, account, NaN, ms |")
    print("|---|---|---|---|---|")
    print(line("demo", demo.DEMO_FOLDER, "float32"), flush=True)
    with TemporaryDirectory() as home:
        small = Path(home) / "gpt2"
        small.mkdir()
        print(
            line("gpt2-small", written(small, transformers.GPT2Config(), torch.float32), "float32")
        )
        sys.stdout.flush()
        large = Path(home) / "llama"
        large.mkdir()
        config = transformers.LlamaConfig(**_LLAMA)
        print(line("llama-16", written(large, config, torch.bfloat16), "bfloat16"))


if __name__ == "__main__":
    main()
