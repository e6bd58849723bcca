"""Models with random weights at the sizes that the benchmarks name, and a tokenizer that fits them."""

from __future__ import annotations

from typing import Any

import torch
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers

from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricInfo, PromptInfo, TokenRef
from interpboard.runs.metrics import Metric


def gpt2_small() -> Any:
    """12 layers, 12 heads, d_model 768, vocabulary 50,257."""
    torch.manual_seed(0)
    return tf.GPT2LMHeadModel(tf.GPT2Config()).eval()


def llama_12() -> Any:
    """12 layers, 12 heads on 4 key/value heads, d_model 768, vocabulary 32,000."""
    torch.manual_seed(0)
    config = tf.LlamaConfig(
        vocab_size=32_000,
        hidden_size=768,
        intermediate_size=2048,
        num_hidden_layers=12,
        num_attention_heads=12,
        num_key_value_heads=4,
    )
    return tf.LlamaForCausalLM(config).eval()


MODELS = {"gpt2-small size": gpt2_small, "llama, 12 layers": llama_12}


def opened(name: str) -> LanguageModel:
    """A model by name, looked into. The tokenizer is never asked: prompts are made of ids."""
    words = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return LanguageModel.of(
        MODELS[name](), tf.PreTrainedTokenizerFast(tokenizer_object=words), name
    )


@torch.no_grad()
def random_case(lm: LanguageModel, length: int) -> tuple[PromptInfo, Metric]:
    """A prompt of random ids and the logit of its own top token at the last position."""
    generator = torch.Generator().manual_seed(length)
    ids = torch.randint(lm.anatomy.d_vocab, (1, length), generator=generator)
    logits = lm.model(input_ids=ids).logits[0, -1]
    tokens = tuple(str(int(i)) for i in ids[0])
    prompt = PromptInfo("", tokens, tuple(int(i) for i in ids[0]))
    top = TokenRef(int(logits.argmax()), "")
    return prompt, Metric(MetricInfo("logit", length - 1, top), logits)
