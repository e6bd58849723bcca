"""What an analysis takes at the least, by its sizes: what has no room is refused before the prompt runs.

Numbers are those of one prompt alone, as measured: a batch that does not fit is halved, one row cannot be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import require_room_for_tokens, surely_free
from interpboard.results import PromptInfo
from interpboard.runs.steps import bytes_of_a_layer, fullest_device, numbers_a_token

Refuses = Callable[[LanguageModel, PromptInfo, Mapping[str, Any]], None]

_OPEN = 6
"""So many numbers for each head, query and key: attention under relevance rules, and its gradients."""

_KEPT = 3
"""So many streams of each layer may be kept of a run: its input, its heads' outputs, and a site."""


def refuse_a_pass_without_room(lm: LanguageModel, length: int, prompts: str = "the prompt") -> None:
    """Raise ``Unaffordable`` where what one layer has of one run of ``prompts`` has no room."""
    require_room_for_tokens(
        fullest_device(lm), lambda n: bytes_of_a_layer(lm, n), length,
        f"What one layer computes of {length:,} tokens", prompts=prompts,
        later=lambda n: lm.anatomy.n_layers * n * _KEPT * lm.anatomy.d_model * _item(lm),
    )  # fmt: skip


def bytes_of_a_gradient(lm: LanguageModel, length: int) -> int:
    """Bytes of a forward and backward pass over ``length`` tokens, where as little is kept as can be."""
    width, inside = lm.anatomy.d_model, numbers_a_token(lm, "neuron", length)
    n_layers = lm.anatomy.n_layers
    if lm.verified.path == "replay":  # layers keep their input and are computed anew
        numbers = n_layers * width + 8 * inside + 20 * width
    else:
        numbers = n_layers * (2 * inside + 8 * width) + 4 * inside + 8 * width
    return length * numbers * _item(lm)


def refuse_a_gradient_without_room(
    lm: LanguageModel, prompt: PromptInfo, _params: Mapping[str, Any]
) -> None:
    """Raise ``Unaffordable`` where a backward pass of the prompt has no room."""
    _refuse(lm, prompt, lambda n: bytes_of_a_gradient(lm, n))


def refuse_a_gradient_where(key: str, value: Any) -> Refuses:
    """Likewise where the parameter ``key`` is ``value``."""

    def refuses(lm: LanguageModel, prompt: PromptInfo, params: Mapping[str, Any]) -> None:
        if params.get(key) == value:
            refuse_a_gradient_without_room(lm, prompt, params)

    return refuses


def refuse_samples_without_room(
    lm: LanguageModel, prompt: PromptInfo, params: Mapping[str, Any]
) -> None:
    """Likewise beside ``samples`` copies of the embeddings, all of which are there."""
    length, samples = len(prompt.token_ids), int(params.get("samples", 1))
    a_copy = lm.anatomy.d_model * 4
    left = surely_free(fullest_device(lm)) - bytes_of_a_gradient(lm, length)
    fewer = max(0, left) // (a_copy * length)
    _refuse(
        lm, prompt, lambda n: bytes_of_a_gradient(lm, n) + samples * n * a_copy,
        f"choose {fewer} sample{'s' * (fewer > 1)}" if fewer else "",
    )  # fmt: skip


def refuse_relevance_without_room(
    lm: LanguageModel, prompt: PromptInfo, _params: Mapping[str, Any]
) -> None:
    """Likewise where each layer's attention is computed in the open."""
    numbers = _OPEN * lm.anatomy.n_heads

    def needed(n: int) -> int:
        return bytes_of_a_gradient(lm, n) + numbers * n**2 * _item(lm)

    _refuse(lm, prompt, needed)


def _refuse(
    lm: LanguageModel, prompt: PromptInfo, needed: Callable[[int], int], otherwise: str = ""
) -> None:
    length = len(prompt.token_ids)
    require_room_for_tokens(
        fullest_device(lm),
        needed,
        length,
        f"What a backward pass of {length:,} tokens computes",
        otherwise,
    )


def _item(lm: LanguageModel) -> int:
    weight: torch.Tensor = lm.anatomy.embedding.weight  # type: ignore[assignment]
    return weight.element_size()
