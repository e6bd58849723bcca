"""Models with random weights at the sizes that the benchmarks name. Needs torch and transformers only.

So that every engine, in whatever environment it lives, times the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers as tf


def gpt2_small() -> Any:
    """12 layers, 12 heads, d_model 768, vocabulary 50,257."""
    return tf.GPT2LMHeadModel(tf.GPT2Config())


def gpt2_medium() -> Any:
    """24 layers, 16 heads, d_model 1024, vocabulary 50,257: 355 million parameters."""
    return tf.GPT2LMHeadModel(tf.GPT2Config(n_layer=24, n_head=16, n_embd=1024))


def llama_12() -> Any:
    """12 layers, 12 heads on 4 key/value heads, d_model 768, vocabulary 32,000."""
    config = tf.LlamaConfig(
        vocab_size=32_000,
        hidden_size=768,
        intermediate_size=2048,
        num_hidden_layers=12,
        num_attention_heads=12,
        num_key_value_heads=4,
    )
    return tf.LlamaForCausalLM(config)


def llama_1b() -> Any:
    """16 layers, 32 heads on 8 key/value heads, d_model 2048, vocabulary 128,256, tied."""
    config = tf.LlamaConfig(
        vocab_size=128_256,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        tie_word_embeddings=True,
    )
    return tf.LlamaForCausalLM(config)


def llama_8b() -> Any:
    """32 layers, 32 heads on 8 key/value heads, d_model 4096, vocabulary 128,256. For a GPU."""
    config = tf.LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
    )
    return tf.LlamaForCausalLM(config)


def tiny_gpt2() -> Any:
    """2 layers, 4 heads, d_model 32: to see that a benchmark runs."""
    return tf.GPT2LMHeadModel(tf.GPT2Config(n_layer=2, n_head=4, n_embd=32, vocab_size=200))


def tiny_llama() -> Any:
    """2 layers, 4 heads on 2 key/value heads, d_model 32: to see that a benchmark runs."""
    config = tf.LlamaConfig(
        vocab_size=200,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return tf.LlamaForCausalLM(config)


SIZES: dict[str, Callable[[], Any]] = {
    "gpt2-small": gpt2_small,
    "gpt2-medium": gpt2_medium,
    "llama-12": llama_12,
    "llama-1b": llama_1b,
    "llama-8b": llama_8b,
    "tiny-gpt2": tiny_gpt2,
    "tiny-llama": tiny_llama,
}


def _with_positions(config: Any, positions: int) -> Any:
    config.n_positions = config.max_position_embeddings = positions
    return config


def built(
    name: str, device: str = "cpu", dtype: str = "float32", positions: int | None = None
) -> Any:
    """A model by name; the same weights wherever it is built with the same versions.

    ``positions``: a GPT-2 is given so many learned positions, if it has fewer.
    """
    torch.manual_seed(0)
    with torch.device(device):
        usual = torch.get_default_dtype()
        torch.set_default_dtype(getattr(torch, dtype))
        try:
            model = SIZES[name]()
            if positions is not None and positions > 1024 and "gpt2" in name:
                model = type(model)(_with_positions(model.config, positions))
        finally:
            torch.set_default_dtype(usual)
    model.config.use_cache = False
    return model.eval().requires_grad_(False)


def random_ids(vocabulary: int, length: int) -> list[int]:
    """A prompt of random tokens, the same for every engine."""
    generator = torch.Generator().manual_seed(length)
    return [int(i) for i in torch.randint(vocabulary, (length,), generator=generator)]


@dataclass(frozen=True)
class Parts:
    """The modules that a loop of plain hooks needs."""

    layers: list[Any]
    out_proj: list[Any]
    embedding: Any
    n_heads: int

    @classmethod
    def of(cls, model: Any) -> Parts:
        """The parts of a model built here."""
        if hasattr(model, "transformer"):
            layers = list(model.transformer.h)
            out_proj = [layer.attn.c_proj for layer in layers]
        else:
            layers = list(model.model.layers)
            out_proj = [layer.self_attn.o_proj for layer in layers]
        heads = model.config.num_attention_heads
        return cls(layers, out_proj, model.get_input_embeddings(), heads)
