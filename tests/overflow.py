"""Tiny models that leave their number format: at one token, under an edit only, or in one head's queries."""

from __future__ import annotations

from typing import Any

import torch

from interpboard.models.language_model import LanguageModel
from tests.tiny import tiny_model, tiny_tokenizer

TOO_MUCH = " Paris"  # the token at which they overflow; it is not among the self-check's
DIM = 31  # a dimension of the stream that is zero but for what these functions write there


def overflowing_lm(dtype: torch.dtype = torch.float16) -> LanguageModel:
    """A Llama whose MLP in layer 1 gives more than 65,504 at the token ``TOO_MUCH``."""
    model = _apart(dtype)
    mlp = model.model.layers[1].mlp
    with torch.no_grad():
        _mark(model, 50.0)
        for projection in (mlp.gate_proj, mlp.up_proj):
            projection.weight[0] = 0
            projection.weight[0, DIM] = 4.0
        mlp.down_proj.weight[5, 0] = 1000.0
    return LanguageModel.of(model, tiny_tokenizer(), "overflowing")


def overflowing_queries_lm(dtype: torch.dtype = torch.float16) -> LanguageModel:
    """The same where only queries of layer 1 overflow, and fused attention gives finite outputs."""
    model = _apart(dtype)
    with torch.no_grad():
        _mark(model, 50.0)
        model.model.layers[1].self_attn.q_proj.weight[:8, DIM] = 60_000.0
    return LanguageModel.of(model, tiny_tokenizer(), "queries")


def overflowing_rotation_lm(dtype: torch.dtype = torch.float16) -> LanguageModel:
    """The same where queries are finite as projected and leave the format when they are rotated.

    By 0.7, which the first two angles of position 7 are near, modulo a turn.
    """
    model = _apart(dtype)
    with torch.no_grad():
        _mark(model, 50.0)
        query = model.model.layers[1].self_attn.q_proj.weight
        query[:8] = 0
        for dim, sign in ((0, 1), (4, -1), (1, -1), (5, 1)):
            query[dim, DIM] = sign * 10_400.0
    return LanguageModel.of(model, tiny_tokenizer(), "rotation")


def healthy_lm(dtype: torch.dtype = torch.float16) -> LanguageModel:
    """The same without anything that overflows."""
    model = _apart(dtype)
    with torch.no_grad():
        _mark(model, 50.0)
    return LanguageModel.of(model, tiny_tokenizer(), "healthy")


def _apart(dtype: torch.dtype) -> Any:
    """A Llama in which nothing is written to ``DIM``."""
    model = tiny_model("llama", dtype)
    with torch.no_grad():
        model.model.embed_tokens.weight[:, DIM] = 0
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[DIM] = 0
            layer.mlp.down_proj.weight[DIM] = 0
    return model


def _mark(model: Any, size: float) -> None:
    (token,) = tiny_tokenizer()(TOO_MUCH)["input_ids"]
    model.model.embed_tokens.weight[token, DIM] = size
