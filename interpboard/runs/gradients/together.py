"""Gradients of several prompts at their own embeddings, from one forward and backward pass."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from interpboard.models.calls import embeddings_of
from interpboard.models.finite import Tally
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.models.unembedding import read_by_head, run_body, unembed, unembed_some
from interpboard.results import PromptInfo
from interpboard.runs.finite import require_passes, run_words
from interpboard.runs.gradients.backward import gradients_of
from interpboard.runs.gradients.embeddings import (
    hearing,
    in_place_of,
    prompt_embeddings,
    read_at_one,
    sparing,
    to_inputs,
)
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.steps import rows_of_a_backward_pass

_Asked = tuple[PromptInfo, Metric]
Gradient = tuple[torch.Tensor, torch.Tensor]


class RowGradients:
    """The gradients of prompts of one length, each of its own metric, made for all when one is asked for."""

    def __init__(self, lm: LanguageModel) -> None:
        self.lm = lm
        self._asked: list[_Asked] = []
        self._found: dict[int, Gradient] = {}

    def add(self, prompt: PromptInfo, metric: Metric) -> None:
        """One more, if it has a gradient."""
        if metric.differentiable:
            self._asked.append((prompt, metric))

    def of(self, prompt: PromptInfo, metric: Metric, embeddings: torch.Tensor) -> Gradient | None:
        """Metric [1] and gradient [1, pos, d_model]; None if it was not added, or if ``embeddings`` are
        others than the prompt's. Raises ``NotFinite`` if any of those that go with it is not."""
        place = next((i for i, (_, own) in enumerate(self._asked) if own is metric), None)
        if place is None or len(embeddings) != 1:
            return None
        if not torch.equal(prompt_embeddings(self.lm, prompt), embeddings[0]):
            return None
        if place not in self._found:
            alike = [
                i for i, (_, other) in enumerate(self._asked)
                if (other.info.name, other.info.position) == (metric.info.name, metric.info.position)
            ]  # fmt: skip
            most = rows_of_a_backward_pass(self.lm, len(prompt.token_ids))
            begin = alike.index(place) // most * most
            some = alike[begin : begin + most]
            values, gradient = _gradients(self.lm, [self._asked[i] for i in some])
            self._found |= {i: (values[k, None], gradient[k, None]) for k, i in enumerate(some)}
        return self._found[place]


def _gradients(lm: LanguageModel, asked: Sequence[_Asked]) -> Gradient:
    """Metric [row] and gradient [row, pos, d_model] of prompts of one length, their metrics of one kind."""
    about = f"{run_words(asked[0][0])} beside others"
    ids = torch.cat([input_ids(lm, prompt) for prompt, _ in asked])
    leaf = embeddings_of(lm.anatomy, ids).requires_grad_()
    with (
        torch.enable_grad(),
        to_inputs(lm),
        sparing(lm, leaf.shape[0] * leaf.shape[1]),
        read_at_one(lm, asked[0][1].info.position),
        at_site(lm.anatomy, "embed", None, in_place_of(lm, leaf)),
    ):
        tally = Tally(len(leaf))
        with hearing(lm, tally, asked[0][1].info.position):
            values = _metrics_of_forward(lm, [metric for _, metric in asked], ids)
        (gradient,) = gradients_of(values.sum(), leaf)
    require_passes(tally, lm, about, values, gradient)
    return values.detach(), gradient


def _metrics_of_forward(
    lm: LanguageModel, metrics: Sequence[Metric], ids: torch.Tensor
) -> torch.Tensor:
    """Each row's metric [row] of a plain forward of ``ids`` [row, pos]."""
    body = run_body(lm.anatomy, ids).last_hidden_state
    read = read_by_head(lm.anatomy, body, metrics[0].info.position)
    if metrics[0].tokens is not None and lm.verified.some_logits:
        needed = [list(metric.tokens or ()) for metric in metrics]
        union = sorted({token for own in needed for token in own})
        logits = unembed_some(lm.anatomy, read, torch.tensor(union))
        columns = [[union.index(token) for token in own] for own in needed]
        return torch.cat([
            metric.of_tokens(logits[row, None][:, own])
            for row, (metric, own) in enumerate(zip(metrics, columns, strict=True))
        ])  # fmt: skip
    logits = unembed(lm.anatomy, read)
    return torch.cat([metric.of(logits[row, None]) for row, metric in enumerate(metrics)])
