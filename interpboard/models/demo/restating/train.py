"""Trains the encoder–decoder from scratch on pairs of the demo's facts.

    python -m interpboard.models.demo.restating.train --out DIR [--seed S]

takes minutes on two idle CPU cores. It saves model and tokenizer, and prints how the saved files do on what
was held out.
"""

import time

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from ..measuring import figures_line, score_table
from ..train import rate_factor, save, set_rates, take_step, training_arguments
from .batches import PairBatch, PairBatches
from .evaluate import RestatingEvaluator
from .tokenizer import restating_tokenizer

RESTATING_STEPS = 600
ROWS = 96
MATRICES, OTHERS = 4e-3, 3e-3
"""Peak learning rates: of the layers' matrices (Muon), of the rest (AdamW)."""
A_LINE = 100


def new_restating_model(
    tokenizer: PreTrainedTokenizerFast, seed: int = 0
) -> T5ForConditionalGeneration:
    """The untrained model: 2 and 2 layers of 4 heads, a stream of 128."""
    torch.manual_seed(seed)
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer),
            d_model=128,
            d_kv=32,
            d_ff=256,
            num_layers=2,
            num_decoder_layers=2,
            num_heads=4,
            relative_attention_num_buckets=16,
            relative_attention_max_distance=32,
            dropout_rate=0.0,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
        )
    )


def targets_loss(model: T5ForConditionalGeneration, batch: PairBatch) -> torch.Tensor:
    """Cross-entropy of the targets' tokens, averaged by their weights."""
    logits = model(
        input_ids=batch.source, attention_mask=batch.mask, labels=batch.target, use_cache=False
    ).logits
    losses = cross_entropy(logits.flatten(0, 1), batch.target.flatten(), reduction="none")
    weights = batch.weights.flatten()
    return (losses * weights).sum() / weights.sum()


def train_restating(
    model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, seed: int
) -> T5ForConditionalGeneration:
    """Take ``model`` from its beginning to its end."""
    torch.manual_seed(seed)
    torch.set_flush_denormal(True)  # vanishing moments and probabilities slow a CPU down
    model = model.train()
    matrices = [
        p
        for stack in (model.encoder, model.decoder)
        for name, p in stack.block.named_parameters()
        if p.dim() == 2 and "relative" not in name
    ]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(
        matrices, lr=MATRICES, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"
    )
    adam = torch.optim.AdamW(others, lr=OTHERS, betas=(0.9, 0.98), weight_decay=0.0)
    optimizers = [(muon, MATRICES), (adam, OTHERS)]
    batches = iter(PairBatches(tokenizer, seed, ROWS))
    start, recent = time.monotonic(), 0.0
    for step in range(RESTATING_STEPS):
        set_rates(optimizers, 1.0, rate_factor(step / RESTATING_STEPS, step))
        loss = targets_loss(model, next(batches))
        take_step(model, optimizers, loss)
        recent = loss.item() if step == 0 else 0.98 * recent + 0.02 * loss.item()
        if (step + 1) % A_LINE == 0:
            minutes = (time.monotonic() - start) / 60
            evaluator = RestatingEvaluator(model.eval(), tokenizer)
            figures = (evaluator.recall(200), evaluator.restating(100))
            model.train()
            print(f"step {step + 1}  {minutes:5.1f} min  loss {recent:.3f}  ", end="")
            print(figures_line(figures), flush=True)
    return model.eval()


def main() -> None:
    """Train, save, and evaluate what was saved."""
    arguments = training_arguments("Train the encoder–decoder.")
    tokenizer = restating_tokenizer()
    model = train_restating(
        new_restating_model(tokenizer, arguments.seed), tokenizer, arguments.seed
    )
    save(model, tokenizer, arguments.out)
    evaluator = RestatingEvaluator.load(arguments.out)
    print(score_table((evaluator.recall(), evaluator.restating())))


if __name__ == "__main__":
    main()
