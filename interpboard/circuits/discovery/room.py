"""What finding a circuit of one prompt takes at the least: refused before it runs where that has no room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from interpboard.circuits.discovery.differences import whole_bytes
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import require_room_for_tokens
from interpboard.results import PromptInfo
from interpboard.runs.room import bytes_of_a_gradient
from interpboard.runs.steps import fullest_device

_WRITTEN = 4
"""So many streams of each layer are kept: what heads and MLPs write, in two runs."""


def refuse_edges_without_room(
    lm: LanguageModel, prompt: PromptInfo, params: Mapping[str, Any]
) -> None:
    """Raise ``Unaffordable`` where circuits of the prompt have no room: a backward pass beside what two runs
    wrote, and a block of what is read together. Of a dataset the prompt is not looked at."""
    if params.get("behavior") or params.get("dataset"):
        return
    anatomy, length, device = lm.anatomy, len(prompt.token_ids), fullest_device(lm)
    weight: torch.Tensor = anatomy.embedding.weight  # type: ignore[assignment]
    a_stream = anatomy.d_model * weight.element_size()
    senders = 1 + anatomy.n_layers * (anatomy.n_heads + 1)
    read = senders + 2 * 3 * anatomy.n_heads  # two streams of each query's, key's and value's input

    def needed(n: int) -> int:
        return bytes_of_a_gradient(lm, n) + n * _WRITTEN * anatomy.n_layers * a_stream

    require_room_for_tokens(
        device, needed, length, f"What the edges of a circuit carry over {length:,} tokens",
        beside=lambda n: min(whole_bytes(device), n * read * a_stream),
    )  # fmt: skip
