"""Trains the masked model from scratch on sentences of the demo's corpus.

    python -m interpboard.models.demo.masked.train --out DIR [--seed S]

takes minutes on two idle CPU cores. It saves the model and its tokenizer, and prints how the saved files do
on the held-out phrasings.
"""

import time

import torch
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from ..measuring import score_table
from ..train import rate_factor, save, set_rates, take_step, training_arguments
from .batches import MaskedBatches
from .evaluate import MaskedEvaluator
from .tokenizer import train_masked_tokenizer

STEPS = (1500, 1200)
"""Of each stage, down a cosine from the full rate; a stage starts from what the one before it saved."""
ROWS_A_STEP = 32
RATE = 1.5e-3
SLOW_START = 100
INITIAL_SIZE = 0.08  # of the weights: at BERT's 0.02 attention of this width stays even for long
_STEPS_A_LINE = 50


def new_masked_model(tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> BertForMaskedLM:
    """The untrained model: 3 layers of 4 heads, a residual stream of 128."""
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=128,
        type_vocab_size=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=INITIAL_SIZE,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    return BertForMaskedLM(config)


def train_masked_model(
    model: BertForMaskedLM, tokenizer: PreTrainedTokenizerFast, seed: int, steps: int
) -> BertForMaskedLM:
    """Take ``model`` through ``steps``; the loss is that of the hidden tokens."""
    torch.manual_seed(seed)
    torch.set_flush_denormal(True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(device).train()
    adam = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    optimizers: list[tuple[torch.optim.Optimizer, float]] = [(adam, RATE)]
    batches = MaskedBatches(tokenizer, seed)
    start, recent = time.monotonic(), 0.0
    for step in range(steps):
        set_rates(optimizers, min(1.0, (step + 1) / SLOW_START), rate_factor(step / steps, step))
        ids, seen, hidden = (part.to(device) for part in batches.batch(ROWS_A_STEP))
        at = hidden >= 0
        states = model.bert(ids, attention_mask=seen).last_hidden_state
        loss = cross_entropy(model.cls(states[at]), hidden[at])
        take_step(model, optimizers, loss)
        recent = loss.item() if step == 0 else 0.98 * recent + 0.02 * loss.item()
        if (step + 1) % _STEPS_A_LINE == 0:
            minutes = (time.monotonic() - start) / 60
            right = MaskedEvaluator(model, tokenizer).facts(50).value
            print(
                f"step {step + 1}  {minutes:5.1f} min  loss {recent:.3f}  facts {right:.2f}",
                flush=True,
            )
    return model.cpu().eval()


def main() -> None:
    """Train, save, and evaluate what was saved."""
    arguments = training_arguments("Train the masked model.")
    tokenizer = train_masked_tokenizer(arguments.seed)
    for number in range(arguments.from_stage, len(STEPS)):
        model = (
            BertForMaskedLM.from_pretrained(arguments.out, dtype=torch.float32)
            if number
            else new_masked_model(tokenizer, arguments.seed)
        )
        seed = arguments.seed + number
        trained = train_masked_model(model, tokenizer, seed, STEPS[number])
        save(trained, tokenizer, arguments.out)
    print(score_table(MaskedEvaluator.load(arguments.out).all_figures(1000)))


if __name__ == "__main__":
    main()
