"""A compiled program as a folder that Hugging Face, and so ``open_model``, can load. No torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tests.compiled.compiler import D_HEAD, D_MLP, EPSILON, HARD, compiled
from tests.compiled.language import BEGIN, TOKENS, Program

FORMAT = {"format": "pt"}  # transformers asks for it


def write(program: Program, folder: Path, sharp: float = HARD, rotated: bool = False) -> Path:
    """Write weights (in float64), configuration and tokenizer of ``program``; returns ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = compiled(program, sharp, rotated)
    exact = {name: np.ascontiguousarray(weight) for name, weight in weights.items()}
    save_file(exact, folder / "model.safetensors", FORMAT)
    _write(folder / "config.json", _config(program))
    _write(folder / "tokenizer.json", _tokenizer())
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BEGIN,
        "clean_up_tokenization_spaces": False,
        "model_max_length": program.n_positions,
    }
    _write(folder / "tokenizer_config.json", settings)
    return folder


def _config(program: Program) -> dict[str, object]:
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": 1 + len(TOKENS),
        "n_embd": D_HEAD * program.n_heads,
        "n_layer": program.n_layers,
        "n_head": program.n_heads,
        "n_inner": D_MLP,
        "n_positions": program.n_positions,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": EPSILON,
        "tie_word_embeddings": False,
        "bos_token_id": 0,
        "eos_token_id": None,
        "dtype": "float64",
        **{f"{name}_pdrop": 0.0 for name in ("resid", "embd", "attn")},
    }


def _tokenizer() -> dict[str, object]:
    """A token a character, ``<s>`` in front. A character that is none of them is ``?``."""
    special = {
        "id": 0, "content": BEGIN, "single_word": False, "lstrip": False, "rstrip": False,
        "normalized": False, "special": True,
    }  # fmt: skip
    in_front = [{"SpecialToken": {"id": BEGIN, "type_id": 0}}]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [special],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Isolated", "invert": False,
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [*in_front, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [
                *in_front,
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {BEGIN: {"id": BEGIN, "ids": [0], "tokens": [BEGIN]}},
        },
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "WordLevel",
            "vocab": {BEGIN: 0, **{token: 1 + i for i, token in enumerate(TOKENS)}},
            "unk_token": "?",
        },
    }  # fmt: skip


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
