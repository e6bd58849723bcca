"""Trains the demo model from scratch on its synthetic corpus.

    python -m interpboard.models.demo.train --out DIR [--seed S]

takes about half an hour on two idle CPU cores, minutes on a GPU. It saves the model and prints how
the saved files do on the held-out combinations.
"""

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import (
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from .evaluate import Evaluator
from .measuring import figures_line, score_table
from .packing import END_ID, Packer
from .starting_point import extend_positions, seed_circuits
from .tokenizer import train_tokenizer

TOKENS_PER_STEP = 4096
POSITIONS = 256
LOG_EVERY = 60
MATRIX_RATE = 3e-3
"""Peak learning rate of the layers' weight matrices (Muon)."""
OTHER_RATE = 3e-3
"""Peak learning rate of embeddings, norms and biases (AdamW)."""
WARM_UP = 20


@dataclass(frozen=True)
class TrainingStage:
    """`steps` of training under a cosine that would end after `horizon`, from `peak` of the rates.

    `curriculum`: (share of the horizon, row lengths until then, in equal parts of the batches).
    `induction`: share of the rows that are repeated random tokens. `only_positions`: the later
    positions start anew from the earlier ones, and nothing but the position embeddings moves.
    """

    steps: int
    horizon: int
    peak: float
    curriculum: tuple[tuple[float, tuple[int, ...]], ...]
    induction: float = 0.35
    only_positions: bool = False


TRAINING_STAGES = (
    # Short rows first: in them copying is the easier task, and most prompts are short.
    TrainingStage(
        1600, 2400, 1.0,
        ((0.2, (32, 64, 64, 64)), (0.45, (32, 64, 128, 128)), (1.0, (32, 64, 128, 256))),
    ),
    # The later positions, which short rows never reach, join the circuits that are there.
    TrainingStage(120, 120, 3.0, ((1.0, (256,)),), induction=0.9, only_positions=True),
    # Then everything together, down to a small rate.
    TrainingStage(420, 420, 0.4, ((1.0, (64, 128, 256, 256)),), induction=0.3),
    # Short documents once more: subjects that open a text are tokens of their own.
    TrainingStage(240, 240, 0.35, ((1.0, (32, 32, 64, 256)),), induction=0.15),
)  # fmt: skip


def new_model(vocabulary: int, seed: int = 0) -> GPT2LMHeadModel:
    """The untrained model: 4 layers of 8 heads, a residual stream of 256."""
    config = small_gpt2(vocabulary, 256, bos_token_id=END_ID, eos_token_id=END_ID)
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(config)
    seed_circuits(model, seed=seed + 1)
    return model


def small_gpt2(vocabulary: int, width: int, **tokens: int | None) -> GPT2Config:
    """4 layers of 8 heads for texts of ``POSITIONS`` tokens, without dropout."""
    return GPT2Config(
        vocab_size=vocabulary,
        n_positions=POSITIONS,
        n_embd=width,
        n_layer=4,
        n_head=8,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        **tokens,
    )


def weighted_loss(logits: Tensor, ids: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of the next token, averaged by the target tokens' weights."""
    predicted = logits[:, :-1].float().flatten(0, 1)
    losses = cross_entropy(predicted, ids[:, 1:].flatten(), reduction="none")
    targets = weights[:, 1:].flatten()
    return (losses * targets).sum() / targets.sum()


def rate_factor(progress: float, step: int) -> float:
    """Linear warm-up, then a cosine down to a fiftieth of the peak."""
    warm = min(1.0, (step + 1) / WARM_UP)
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))


def new_optimizers(
    model: GPT2LMHeadModel, only_positions: bool
) -> list[tuple[torch.optim.Optimizer, float]]:
    """Each with its peak rate: Muon for the layers' matrices, AdamW for embeddings, norms, biases.

    Copying any token needs all heads' subspaces together; Muon's updates, equally strong in
    every direction of a matrix, learnt the facts in fewer steps than AdamW's did.
    """
    positions = model.transformer.wpe.weight
    for parameter in model.parameters():
        parameter.requires_grad_(not only_positions or parameter is positions)
    if only_positions:
        return [(_adam([positions]), OTHER_RATE)]
    matrices = [p for p in model.transformer.h.parameters() if p.dim() == 2]
    chosen = {id(p) for p in matrices}
    muon = torch.optim.Muon(
        matrices, lr=MATRIX_RATE, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"
    )
    others = _adam([p for p in model.parameters() if id(p) not in chosen])
    return [(muon, MATRIX_RATE), (others, OTHER_RATE)]


def _adam(parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0)


def train(
    model: GPT2LMHeadModel,
    tokenizer: PreTrainedTokenizerFast,
    stage: TrainingStage,
    seed: int,
) -> GPT2LMHeadModel:
    """Take `model` through one stage, with optimizers of its own."""
    torch.manual_seed(seed)
    torch.set_flush_denormal(True)  # vanishing moments and probabilities slow a CPU down
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if stage.only_positions:
        extend_positions(model, practised=110)
    model = model.to(device).train()
    optimizers = new_optimizers(model, stage.only_positions)
    packer = Packer(tokenizer, seed, stage.induction)
    start, recent = time.monotonic(), 0.0
    for step in range(stage.steps):
        progress = step / stage.horizon
        set_rates(optimizers, stage.peak, rate_factor(progress, step))
        lengths = next(lengths for until, lengths in stage.curriculum if progress < until)
        ids, weights = (t.to(device) for t in packer.batch(TOKENS_PER_STEP, lengths))
        with torch.autocast(device, dtype=torch.bfloat16):
            logits = model(ids, use_cache=False).logits
        loss = weighted_loss(logits, ids, weights)
        take_step(model, optimizers, loss)
        recent = loss.item() if step == 0 else 0.98 * recent + 0.02 * loss.item()
        if (step + 1) % LOG_EVERY == 0:
            minutes = (time.monotonic() - start) / 60
            print(f"step {step + 1}  {minutes:5.1f} min  loss {recent:.3f}  ", end="")
            print(_glance(model, tokenizer, max(lengths)), flush=True)
    return model.cpu().eval()


def _glance(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, context: int) -> str:
    """One line of figures on small samples; induction within the row length in use."""
    evaluator = Evaluator(model, tokenizer)
    figures = (
        evaluator.facts(100),
        evaluator.ioi(100),
        evaluator.induction(20, context),
        evaluator.agreement(100),
        evaluator.years(100),
    )
    return figures_line(figures)


def set_rates(
    optimizers: Iterable[tuple[torch.optim.Optimizer, float]], peak_of_stage: float, factor: float
) -> None:
    """The rate of every optimizer: its own peak, times the stage's, times ``factor``, in that order."""
    for optimizer, peak in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = peak * peak_of_stage * factor


def take_step(
    model: torch.nn.Module,
    optimizers: Iterable[tuple[torch.optim.Optimizer, float]],
    loss: torch.Tensor,
) -> None:
    """One step down the gradient of ``loss``, which is clipped to length 1."""
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer, _ in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def load_trained(folder: Path) -> GPT2LMHeadModel:
    """What `save` wrote, in float32."""
    model: GPT2LMHeadModel = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32)
    return model


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Save in float16 (the size limit), replacing each file whole so no reader sees half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        deepcopy(model).half().save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        config = Path(temporary) / "tokenizer_config.json"
        values = json.loads(config.read_text())
        values["tokenizer_class"] = "PreTrainedTokenizerFast"
        config.write_text(json.dumps(values, indent=2) + "\n")
        for file in Path(temporary).iterdir():
            file.chmod(0o644)
            os.replace(file, folder / file.name)


def training_arguments(description: str) -> argparse.Namespace:
    """``out``, ``seed`` and ``from_stage`` of the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="folder to save the model in")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from-stage", type=int, default=0, help="go on from what --out holds")
    return parser.parse_args()


def main() -> None:
    """Train, save, and evaluate what was saved."""
    arguments = training_arguments("Train the demo model.")
    tokenizer = (
        AutoTokenizer.from_pretrained(arguments.out)
        if arguments.from_stage
        else train_tokenizer(arguments.seed)
    )
    for number, stage in enumerate(TRAINING_STAGES):
        if number < arguments.from_stage:
            continue
        # Each stage starts from the saved files, so that it can be run again by itself.
        model = load_trained(arguments.out) if number else new_model(len(tokenizer), arguments.seed)
        save(train(model, tokenizer, stage, arguments.seed + number), tokenizer, arguments.out)
    print(score_table(Evaluator.load(arguments.out).all_figures(1000)))


if __name__ == "__main__":
    main()
