"""Tiny random models whose heads give labels: decoders with a score head, encoders with a classifier."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import transformers as tf

from interpboard.models.language_model import LanguageModel
from tests.tiny import VOCAB, tiny_tokenizer

LABELS = {0: "NEGATIVE", 1: "POSITIVE", 2: "mixed feelings"}
_NAMED: dict[str, Any] = {"id2label": LABELS, "label2id": {v: k for k, v in LABELS.items()}}
_SIZES: dict[str, Any] = {
    "vocab_size": VOCAB, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 40,
}  # fmt: skip
_NO_ENDS: dict[str, Any] = {"bos_token_id": None, "eos_token_id": None}
_GPT2: dict[str, Any] = {
    "vocab_size": VOCAB, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40, **_NO_ENDS,
}  # fmt: skip
_DISTIL: dict[str, Any] = {
    "vocab_size": VOCAB, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24,
    "max_position_embeddings": 40,
}  # fmt: skip
_MODERN: dict[str, Any] = {
    **_SIZES, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1,
    "sep_token_id": 2,
}  # fmt: skip


def _of(name: str, config: dict[str, Any], kind: str = "ForSequenceClassification") -> Any:
    def make(**changed: Any) -> Any:
        options = {**config, **(_NAMED if "num_labels" not in changed else {}), **changed}
        return getattr(tf, name + kind)(getattr(tf, f"{name}Config")(**options))

    return make


DECODERS: dict[str, Callable[..., Any]] = {
    "gpt2": _of("GPT2", _GPT2),
    "llama": _of("Llama", {**_SIZES, **_NO_ENDS, "pad_token_id": None}),
    "qwen2": _of("Qwen2", {**_SIZES, **_NO_ENDS, "num_key_value_heads": 1, "pad_token_id": 3}),
    "gemma2": _of(
        "Gemma2",
        {**_SIZES, **_NO_ENDS, "num_key_value_heads": 1, "head_dim": 8, "pad_token_id": 3},
    ),
}
ENCODERS: dict[str, Callable[..., Any]] = {
    "bert": _of("Bert", _SIZES),
    "roberta": _of("Roberta", _SIZES),
    "distilbert": _of("DistilBert", _DISTIL),
    "electra": _of("Electra", {**_SIZES, "embedding_size": 16}),
    "deberta": _of("Deberta", _SIZES),
    "modernbert": _of("ModernBert", _MODERN),
    "modernbert_mean": _of("ModernBert", {**_MODERN, "classifier_pooling": "mean"}),
}
CHOICES: dict[str, Callable[..., Any]] = {
    "bert": _of("Bert", _SIZES, "ForMultipleChoice"),
    "roberta": _of("Roberta", _SIZES, "ForMultipleChoice"),
    "albert": _of("Albert", {**_SIZES, "embedding_size": 16}, "ForMultipleChoice"),
    "electra": _of("Electra", {**_SIZES, "embedding_size": 16}, "ForMultipleChoice"),
}
SEQUENCE = DECODERS | ENCODERS
TOKENS: dict[str, Callable[..., Any]] = {
    "llama": _of("Llama", {**_SIZES, **_NO_ENDS, "pad_token_id": None}, "ForTokenClassification"),
    "bert": _of("Bert", _SIZES, "ForTokenClassification"),
}


def labelled(make: Callable[..., Any], dtype: torch.dtype = torch.float64, **options: Any) -> Any:
    """A model of ``make``, its weights large enough to matter."""
    torch.manual_seed(0)
    model = make(**options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6.0)
    return model.to(dtype)


@cache
def choosing() -> LanguageModel:
    """A model of multiple choice, given one text and no pair's marks. Shared as ``classifier`` is."""
    return LanguageModel.of(labelled(CHOICES["bert"], torch.float32), tiny_tokenizer(), "choosing")


@cache
def classifier(family: str, dtype: torch.dtype = torch.float64) -> LanguageModel:
    """A classifier of three labels, looked into. Shared: tests must leave it as it was."""
    return LanguageModel.of(labelled(SEQUENCE[family], dtype), tiny_tokenizer(), family)
