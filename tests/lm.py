"""Ready-made language models and prompts for tests."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import torch

from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.tiny import tiny_model, tiny_tokenizer

TEXT = "The Eiffel Tower is located in the city of"
TOLERANCE: dict[torch.dtype, dict[str, float]] = {
    torch.float32: {"rtol": 2e-5, "atol": 2e-5},
    torch.float64: {"rtol": 1e-9, "atol": 1e-9},
}


@cache
def tiny_lm(
    family: str = "gpt2", dtype: torch.dtype = torch.float32, biases: bool = False
) -> LanguageModel:
    """A tiny random model, looked into, which takes 0.1 s and more. Shared: tests must leave it as it was."""
    return LanguageModel.of(
        tiny_model(family, dtype, biases=biases), tiny_tokenizer(), f"tiny {family}"
    )


def case(
    family: str = "gpt2",
    dtype: torch.dtype = torch.float32,
    text: str = TEXT,
    biases: bool = False,
    **request: Any,
) -> tuple[LanguageModel, PromptInfo, Metric]:
    """A model, a prompt and a resolved metric."""
    lm = tiny_lm(family, dtype, biases) if biases else tiny_lm(family, dtype)
    prompt = make_prompt(lm, text)
    return lm, prompt, resolve_metric(lm, prompt, MetricRequest(**request))


def unproved(lm: LanguageModel, sites: set[str]) -> LanguageModel:
    """``lm`` as if it had not proved ``sites``, at any layer."""
    own = lm.verified
    by_layer = tuple(here - sites for here in own.by_layer)
    return replace(lm, verified=replace(own, sites=own.sites - sites, by_layer=by_layer))


def fingerprint(lm: LanguageModel) -> tuple[float, int]:
    """Changes if any parameter changes or any hook is left."""
    total = sum(float(p.detach().double().abs().sum()) for p in lm.model.parameters())
    hooks = sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) + ("forward" in vars(m))
        for m in lm.model.modules()
    )
    frozen = sum(not p.requires_grad for p in lm.model.parameters())
    return total, hooks * 1000 + frozen
