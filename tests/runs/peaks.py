"""Prints, as JSON, how much memory a plan says that analyses of 320 tokens take.

In a process of its own: what other tests have left free in a heap would count as there already.
"""

from __future__ import annotations

import json

import torch
import transformers as tf

from interpboard.models.language_model import LanguageModel
from interpboard.planning import plan
from tests.tiny import tiny_tokenizer

WANTED = ("neurons", "saliency", "shapley")


def main() -> None:
    """Plan a short prompt, which takes what is taken once, and then the long one."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = tf.GPT2Config(
        n_layer=8, n_head=2, n_embd=32, n_inner=8192, vocab_size=420, n_positions=1024
    )
    lm = LanguageModel.of(tf.GPT2LMHeadModel(config).eval(), tiny_tokenizer(), "long")
    blocks = [torch.ones(3 << 20) for _ in range(2)]
    del blocks
    text = " ".join(["a b c d"] * 80)
    plan(lm, "a b c", WANTED)
    print(json.dumps({each.analysis: each.bytes_peak for each in plan(lm, text, WANTED)}))


if __name__ == "__main__":
    main()
