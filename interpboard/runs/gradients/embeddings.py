"""The gradient of a metric with respect to the input embeddings, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from interpboard.errors import OutOfMemory, Unsupported
from interpboard.models.allocator import blocks_given_back
from interpboard.models.calls import embeddings_of
from interpboard.models.faster_parts import faster_parts
from interpboard.models.finite import Tally
from interpboard.models.frozen import frozen
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import out_of_memory
from interpboard.models.module_hooks import Act
from interpboard.models.partial_layer import mlp_at
from interpboard.models.recomputed import layers_recomputed
from interpboard.models.sites import at_site
from interpboard.models.unembedding import read_by_head, run_body, unembed, unembed_some
from interpboard.models.whole_layers import layers_whole, may_be_whole
from interpboard.results import PromptInfo
from interpboard.runs.finite import refusing, require_finite, require_passes, run_words
from interpboard.runs.gradients.backward import gradients_of
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.rehearsal import Loop
from interpboard.runs.shared import body_together, gradient_together
from interpboard.runs.steps import layers_are_recomputed, rows_of_a_backward_pass
from interpboard.runs.watch import Watch


@torch.no_grad()
def prompt_embeddings(lm: LanguageModel, prompt: PromptInfo) -> torch.Tensor:
    """The embedding module's output [pos, d_model] for the prompt."""
    return embeddings_of(lm.anatomy, input_ids(lm, prompt))[0]


def metric_and_gradient(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, embeddings: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Metric [rows] and its gradient [rows, pos, d_model] with ``embeddings`` in place of the prompt's.

    The parameters are frozen meanwhile, so the backward pass computes no gradient that is thrown
    away. Raises ``Unsupported`` for a metric without a gradient, ``NotFinite``.
    """
    require_gradient(metric)
    there = gradient_together(lm, prompt, metric, embeddings)
    return own_gradient(lm, prompt, metric, embeddings) if there is None else there


def own_gradient(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, embeddings: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """``metric_and_gradient`` by a pass of its own."""
    about = f"{run_words(prompt)} from other embeddings"
    leaf = embeddings.detach().requires_grad_()
    ids = input_ids(lm, prompt).expand(len(leaf), -1)
    with (
        torch.enable_grad(),
        to_inputs(lm),
        sparing(lm, leaf.shape[0] * leaf.shape[1]),
        read_at_one(lm, metric.info.position),
        at_site(lm.anatomy, "embed", None, in_place_of(lm, leaf)),
    ):
        tally = Tally(len(leaf))
        with hearing(lm, tally, metric.info.position):
            values = metric_of_forward(lm, metric, ids)
        (gradient,) = gradients_of(values.sum(), leaf)
    require_passes(tally, lm, about, values, gradient)
    return values.detach(), gradient


@torch.no_grad()
def metric_of_embeddings(
    lm: LanguageModel, prompt: PromptInfo, metric: Metric, embeddings: torch.Tensor
) -> float:
    """The metric with ``embeddings`` [pos, d_model] in place of the prompt's. Raises ``NotFinite``."""
    about = f"{run_words(prompt)} from other embeddings"
    body = body_together(lm, prompt)
    if body is not None and torch.equal(embeddings, prompt_embeddings(lm, prompt)):
        value = metric_of_body(lm, metric, body)
        require_finite(lm, about, value)
        return float(value[0])
    with (
        at_site(lm.anatomy, "embed", None, in_place_of(lm, embeddings[None])),
        refusing(lm, about),
    ):
        value = metric_of_forward(lm, metric, input_ids(lm, prompt))
    require_finite(lm, about, value)
    return float(value[0])


def in_place_of(lm: LanguageModel, embeddings: torch.Tensor) -> Act:
    """What puts ``embeddings`` [row, pos, d_model] in the place of those of a run.

    It raises ``Unsupported`` in a run of another length: some models (longformer) make a prompt longer.
    """

    def put(clean: torch.Tensor) -> torch.Tensor:
        if clean.shape[1] != embeddings.shape[1]:
            raise Unsupported(
                f"{type(lm.model).__name__} makes the prompt of {embeddings.shape[1]} tokens one of "
                f"{clean.shape[1]}: its embeddings cannot be replaced.",
                f"Make the prompt one of {clean.shape[1]} tokens, or use occlusion.",
            )
        return embeddings

    return put


def require_gradient(metric: Metric) -> None:
    """Raise ``Unsupported`` for a metric without a gradient."""
    if not metric.differentiable:
        raise Unsupported(f"The metric {metric.info.name} has no gradient.", "Use logit or prob.")


def require_slope(metric: Metric) -> None:
    """Raise ``Unsupported`` for a metric that says nothing by its gradient at the clean prompt."""
    require_gradient(metric)
    if not metric.has_slope:
        raise Unsupported(
            f"The metric {metric.info.name} has no slope at the clean prompt.",
            "Use integrated_gradients, or logit or prob.",
        )


def metric_of_forward(lm: LanguageModel, metric: Metric, ids: torch.Tensor) -> torch.Tensor:
    """Metric [rows] of a plain forward of ``ids`` [rows, pos], with no logit computed in vain."""
    return metric_of_body(lm, metric, run_body(lm.anatomy, ids).last_hidden_state)


def metric_of_body(lm: LanguageModel, metric: Metric, hidden: torch.Tensor) -> torch.Tensor:
    """Metric [rows] of ``hidden`` [rows, pos, d_model], which the head takes."""
    read = read_by_head(lm.anatomy, hidden, metric.info.position)
    if metric.tokens is not None and lm.verified.some_logits:
        return metric.of_tokens(unembed_some(lm.anatomy, read, torch.tensor(metric.tokens)))
    return metric.of(unembed(lm.anatomy, read))


def each_gradient(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    count: int,
    embeddings: Callable[[int, int], torch.Tensor],
    take: Callable[[int, torch.Tensor, torch.Tensor], None],
    watch: Watch,
    done: int = 0,
) -> None:
    """Gradients at ``count`` inputs, as many at a time as memory allows, none kept; from ``done`` on.

    ``embeddings(first, last)`` makes inputs [rows, pos, d_model]; ``take(first, inputs, gradients)``
    hears of them. Raises ``OutOfMemory`` where not even one fits, ``Cancelled``, and ``Unsupported``.
    """
    rows = rows_of_a_backward_pass(lm, len(prompt.token_ids))
    loop = Loop("gradients", count)
    while done < count:
        watch.step(done, count)
        last = done + evenly(count - done, rows)
        if not loop.due(done, last - done):
            loop.skip(done, last - done, work=last - done, passes=last - done)
            done = last
            continue
        inputs = embeddings(done, last)
        try:
            gradients = metric_and_gradient(lm, prompt, metric, inputs)[1]
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if rows == 1:
                raise OutOfMemory(
                    "One backward pass of the prompt does not fit.", "Shorten the prompt."
                ) from error
            rows //= 2
            continue
        take(done, inputs, gradients)
        loop.took(done, len(inputs))
        done += len(inputs)
    loop.close()
    watch.step(count, count)


def evenly(left: int, most: int) -> int:
    """How many of those ``left`` the next pass takes, at most ``most``: no pass of few at the end."""
    return -(-left // -(-left // most))


def wide(tensor: torch.Tensor) -> torch.dtype:
    """What sums are kept in: float64 for float64, else float32."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


@contextmanager
def sparing(lm: LanguageModel, tokens: int) -> Iterator[None]:
    """While open, a backward pass of ``tokens`` that would keep much of every layer computes them anew."""
    whole = lm.verified.whole_layers and all(map(may_be_whole, lm.anatomy.layers))
    if not layers_are_recomputed(lm, tokens, whole=whole):
        yield
        return
    stream = tokens * lm.anatomy.d_model * lm.anatomy.embedding.weight.element_size()  # type: ignore[operator]
    with layers_recomputed(lm.anatomy), blocks_given_back(stream):
        yield


@contextmanager
def to_inputs(lm: LanguageModel) -> Iterator[None]:
    """For forward and backward passes of which only gradients of activations are wanted: no parameter takes
    one, and the parts of layers compute by the faster kernels that the model proved."""
    with frozen(lm.model), faster_parts(lm.anatomy) if lm.verified.faster_parts else nullcontext():
        yield


def hearing(lm: LanguageModel, tally: Tally, position: int) -> AbstractContextManager[None]:
    """While open, a forward pass within ``to_inputs`` of which the logits at ``position`` are asked for is
    heard by ``tally``; layers compute in one piece where the model proved that. Open it behind all hooks."""
    if not lm.verified.whole_layers:
        return tally.over(lm.anatomy)
    return layers_whole(lm.anatomy, tally, position if lm.anatomy.label_head is None else None)


def read_at_one(lm: LanguageModel, position: int) -> AbstractContextManager[None]:
    """While open, the last layer's MLP runs at ``position`` alone, where the model proved that this is enough
    for the logits there. Elsewhere the stream behind it is wrong."""
    if not lm.verified.mlp_at_one or lm.anatomy.label_head is not None:
        return nullcontext()
    if lm.verified.whole_layers and may_be_whole(lm.anatomy.layers[-1]):
        return nullcontext()  # ``hearing`` has the whole layer computed at that position
    return mlp_at(lm.anatomy.before_mlp[-1], position)
