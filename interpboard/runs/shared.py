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
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks

from interpboard.models.adapters import adapters_at_work
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

    def body(self, lm: LanguageModel, prompt: PromptInfo) -> torch.Tensor | None:
        """Its final hidden states [1, pos, d_model], which the head takes, if its logits were asked for."""

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


def body_together(lm: LanguageModel, prompt: PromptInfo) -> torch.Tensor | None:
    """``Shared.body`` of what is open."""
    shared = _open.get()
    return None if shared is None else shared.body(lm, prompt)


def gradient_together(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, embeddings: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """``Shared.gradient`` of what is open."""
    shared = _open.get()
    return None if shared is None else shared.gradient(lm, prompt, metric, embeddings)


_PLAIN = (bool, int, float, str)


def as_it_is(model: torch.nn.Module) -> int:
    """A number that is another when modules, hooks, forwards of their own, their numbers and switches (mode,
    adapters at work among them), the kind of attention, or weights are others. What is written into the
    ``data`` of a weight in place leaves no trace, and is not seen."""
    modules = tuple(
        (
            id(module),
            tuple(module._forward_hooks),
            tuple(module._forward_pre_hooks),
            id(module.__dict__.get("forward")),
            tuple(own for own in module.__dict__.values() if type(own) in _PLAIN),
            adapters_at_work(module),
            _attends_by(module),
        )
        for module in model.modules()
    )
    weights = tuple(
        (id(weight), weight.data_ptr(), 0 if weight.is_inference() else weight._version)
        for weight in (*model.parameters(), *model.buffers())
    )
    on_every_module = tuple(_global_forward_hooks), tuple(_global_forward_pre_hooks)
    return hash((modules, weights, on_every_module))


def _attends_by(module: torch.nn.Module) -> str:
    """Which attention its configuration names: parts of a model may have one of their own."""
    return str(getattr(module.__dict__.get("config"), "_attn_implementation", ""))
