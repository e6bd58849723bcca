"""What several prompts have from one pass, while it is open: clean runs, logits, gradients.

``record``, ``prompt_logits`` and ``metric_and_gradient`` ask here first, so every analysis that begins with
them shares them, without knowing of it. ``together`` makes what is shared; where nothing is open, each
computes for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

import torch

from interpboard.results import PromptInfo

if TYPE_CHECKING:
    from interpboard.runs.metrics import Metric
    from interpboard.runs.record import Run


class Shared(Protocol):
    """What is computed for several prompts at once; None where that is not to be had."""

    def run(self, prompt: PromptInfo, sites: Sequence[str]) -> Run | None:
        """The clean run of ``prompt``, with ``sites``."""

    def logits(self, prompt: PromptInfo, position: int) -> torch.Tensor | None:
        """Its logits [d_vocab] at ``position``."""

    def gradient(
        self, prompt: PromptInfo, metric: Metric, embeddings: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """``metric`` [1] and its gradient [1, pos, d_model], if ``embeddings`` are the prompt's own."""


_open: ContextVar[Shared | None] = ContextVar("shared", default=None)


@contextmanager
def sharing(shared: Shared | None) -> Iterator[None]:
    """While open, what ``shared`` has is taken from it."""
    token = _open.set(shared)
    try:
        yield
    finally:
        _open.reset(token)


def recorded_together(prompt: PromptInfo, sites: Sequence[str]) -> Run | None:
    """``Shared.run`` of what is open."""
    shared = _open.get()
    return None if shared is None else shared.run(prompt, sites)


def logits_together(prompt: PromptInfo, position: int) -> torch.Tensor | None:
    """``Shared.logits`` of what is open."""
    shared = _open.get()
    return None if shared is None else shared.logits(prompt, position)


def gradient_together(
    prompt: PromptInfo, metric: Metric, embeddings: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """``Shared.gradient`` of what is open."""
    shared = _open.get()
    return None if shared is None else shared.gradient(prompt, metric, embeddings)
