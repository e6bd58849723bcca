"""What is there already of clean runs, while it is open: the runs, logits, gradients.

``record``, ``prompt_logits`` and ``metric_and_gradient`` ask here first, so every analysis that begins with
them shares them, without knowing of it. ``clean_runs`` makes what is shared of one prompt, ``together`` of
several in one pass; where nothing is open, each computes for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

import torch

from interpboard.results import PromptInfo

if TYPE_CHECKING:
    from interpboard.models.language_model import LanguageModel
    from interpboard.runs.metrics import Metric
    from interpboard.runs.record import Run


class Shared(Protocol):
    """What is there of runs of ``lm``; None where that is not to be had, for another model among it."""

    def run(self, lm: LanguageModel, prompt: PromptInfo, sites: Sequence[str]) -> Run | None:
        """The clean run of ``prompt``, with ``sites``."""

    def logits(self, lm: LanguageModel, prompt: PromptInfo, position: int) -> torch.Tensor | None:
        """Its logits [d_vocab] at ``position``."""

    def gradient(
        self, lm: LanguageModel, prompt: PromptInfo, metric: Metric, embeddings: torch.Tensor
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


def recorded_together(lm: LanguageModel, prompt: PromptInfo, sites: Sequence[str]) -> Run | None:
    """``Shared.run`` of what is open."""
    shared = _open.get()
    return None if shared is None else shared.run(lm, prompt, sites)


def logits_together(lm: LanguageModel, prompt: PromptInfo, position: int) -> torch.Tensor | None:
    """``Shared.logits`` of what is open."""
    shared = _open.get()
    return None if shared is None else shared.logits(lm, prompt, position)


def gradient_together(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, embeddings: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """``Shared.gradient`` of what is open."""
    shared = _open.get()
    return None if shared is None else shared.gradient(lm, prompt, metric, embeddings)


_OFF = "_disable_adapters"
_OF_ADAPTERS = (_OFF, "_active_adapter", "merged_adapters", "scaling")
"""What PEFT keeps in a module of whether its adapters are on, which, merged or not, and times how much."""


def as_it_is(model: torch.nn.Module) -> int:
    """A number that is another when hooks, forwards of modules' own, their mode, adapters at work, or weights
    are others."""
    modules = tuple(
        (
            module.training,
            tuple(module._forward_hooks),
            tuple(module._forward_pre_hooks),
            id(module.__dict__.get("forward")),
            _adapters_of(module) if _OFF in module.__dict__ else "",
        )
        for module in model.modules()
    )
    weights = tuple(
        (id(weight), 0 if weight.is_inference() else weight._version)
        for weight in (*model.parameters(), *model.buffers())
    )
    return hash((modules, weights))


def _adapters_of(module: torch.nn.Module) -> str:
    """How its adapters are, of which no hook and no weight tells."""
    return repr([module.__dict__.get(name) for name in _OF_ADAPTERS])
