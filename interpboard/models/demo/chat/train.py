"""Trains the chat model from scratch on its synthetic chats.

    python -m interpboard.models.demo.chat.train --out DIR [--seed S]

takes minutes on two idle CPU cores. It saves the model, its tokenizer and chat template, and prints how the
saved files do on the held-out chats.
"""

import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from ..measuring import figures_line, score_table
from ..starting_point import extend_positions, seed_circuits
from ..train import (
    POSITIONS,
    load_trained,
    new_optimizers,
    rate_factor,
    save,
    set_rates,
    small_gpt2,
    take_step,
    training_arguments,
)
from .batches import PADDING_ID, ChatBatches
from .corpus import reading_chats, training_chats
from .evaluate import ChatEvaluator
from .template import TURN_END
from .tokenizer import train_chat_tokenizer


@dataclass(frozen=True)
class ChatStage:
    """``steps`` down a cosine from ``peak`` of the rates, the first ``reading`` of them on stated answers."""

    steps: int
    reading: int
    peak: float


CHAT_STAGES = (
    # Reading first: where facts can be learnt as well they are, and reading comes late.
    ChatStage(1050, 300, 1.0),
    # Then, with a fresh start of the rates, what is known, and in which form it is asked for.
    ChatStage(1300, 0, 0.8),
)
CHAT_TOKENS_PER_STEP = 2048
PRACTISED_POSITIONS = 150
"""Positions that chats reach often enough to be learnt; those behind are carried over from them."""
STEPS_A_LINE = 50


def new_chat_model(tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> GPT2LMHeadModel:
    """The untrained model: 4 layers of 8 heads, a residual stream of 128."""
    config = small_gpt2(
        len(tokenizer),
        128,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids(TURN_END),
        pad_token_id=PADDING_ID,
    )
    torch.manual_seed(seed)
    model = GPT2LMHeadModel(config)
    seed_circuits(model, seed=seed + 1, furthest=2)
    return model


def answers_loss(model: GPT2LMHeadModel, ids: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of the next token by weight; no logits where none is asked for, which is mostly."""
    asked = weights[:, 1:] > 0
    hidden = model.transformer(ids, use_cache=False).last_hidden_state[:, :-1]
    losses = cross_entropy(model.lm_head(hidden[asked]), ids[:, 1:][asked], reduction="none")
    chosen = weights[:, 1:][asked]
    return (losses * chosen).sum() / chosen.sum()


def train_chat_model(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, stage: ChatStage, seed: int
) -> GPT2LMHeadModel:
    """Take ``model`` through one stage, with optimizers of its own."""
    torch.manual_seed(seed)
    torch.set_flush_denormal(True)  # vanishing moments and probabilities slow a CPU down
    model = model.train()
    optimizers = new_optimizers(model, only_positions=False)
    batches, reading = (
        iter(ChatBatches(tokenizer, seed, CHAT_TOKENS_PER_STEP, POSITIONS, chats))
        for chats in (training_chats, reading_chats)
    )
    start, recent = time.monotonic(), 0.0
    for step in range(stage.steps):
        set_rates(optimizers, stage.peak, rate_factor(step / stage.steps, step))
        ids, weights = next(reading if step < stage.reading else batches)
        loss = answers_loss(model, ids, weights)
        take_step(model, optimizers, loss)
        recent = loss.item() if step == 0 else 0.98 * recent + 0.02 * loss.item()
        if (step + 1) % STEPS_A_LINE == 0:
            minutes = (time.monotonic() - start) / 60
            print(f"step {step + 1}  {minutes:5.1f} min  loss {recent:.3f}  ", end="")
            print(_glance(model, tokenizer), flush=True)
    extend_positions(model, PRACTISED_POSITIONS)
    return model.eval()


def _glance(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast) -> str:
    """One line of figures on small samples."""
    evaluator = ChatEvaluator(model, tokenizer)
    figures = (
        evaluator.facts(64),
        evaluator.statements(64),
        evaluator.memory(64),
        evaluator.forms(64),
        evaluator.chains(),
    )
    return figures_line(figures)


def main() -> None:
    """Train, save, and evaluate what was saved."""
    arguments = training_arguments("Train the chat model.")
    tokenizer = train_chat_tokenizer(arguments.seed)
    for number in range(arguments.from_stage, len(CHAT_STAGES)):
        # Each stage starts from the saved files, so that it can be run again by itself.
        model = load_trained(arguments.out) if number else new_chat_model(tokenizer, arguments.seed)
        seed = arguments.seed + number
        save(
            train_chat_model(model, tokenizer, CHAT_STAGES[number], seed), tokenizer, arguments.out
        )
    print(score_table(ChatEvaluator.load(arguments.out).all_figures(1000)))


if __name__ == "__main__":
    main()
