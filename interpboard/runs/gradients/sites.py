"""The gradient of a metric with respect to activations at a site, all layers from one backward pass.

Where what the backward pass needs of all layers together would be much, or several backward passes are
asked for, the layers are gone through one at a time, from the last to the first: each is run once more
from its recorded input, and what its own backward pass needs is there for this layer only. The
gradients are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch

from interpboard.errors import Unsupported
from interpboard.models.calls import first_layer_input
from interpboard.models.finite import Tally
from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import at_site
from interpboard.models.unembedding import residual_to_logits
from interpboard.results import PromptInfo
from interpboard.runs.edits import Counterfactual
from interpboard.runs.finite import require_finite, require_passes, run_words
from interpboard.runs.gradients.backward import gradients_of
from interpboard.runs.gradients.embeddings import metric_of_forward, read_at_one, to_inputs
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import input_ids
from interpboard.runs.record import Run, enter_edits, record
from interpboard.runs.steps import backward_pass_is_small
from interpboard.runs.watch import SILENT, Watch

NOTHING_DROPPED: tuple[tuple[int, ...], ...] = ((),)
# What the last layer's MLP cannot change: it may run at one position where these are asked for.
BEFORE_THE_MLP = ("embed", "resid_pre", "q", "k", "v", "pattern", "attended", "z", "attn_out")


@dataclass(frozen=True)
class SiteGradients:
    """``activations[layer]`` and ``gradients[layer]`` [pos, …] of one run; ``metric`` on it."""

    activations: tuple[torch.Tensor, ...]
    gradients: tuple[torch.Tensor, ...]
    metric: float


@dataclass(frozen=True)
class LayerGradients:
    """A layer's activation [pos, …] at the site, and the metric's gradients there, one a backward pass."""

    layer: int
    activation: torch.Tensor
    gradients: tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class ByLayer:
    """The ``metric`` of a run; ``layers`` from the last to the first, each made when it is asked for.
    ``run``: the prompt's own, where layers are gone through from what was recorded of it."""

    metric: float
    layers: Iterator[LayerGradients]
    run: Run | None = None


def site_gradients(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    site: str,
    *,
    edits: Counterfactual = (),
) -> SiteGradients:
    """Activations at ``site`` of every layer, and the metric's gradient with respect to them; both are empty
    at a layer that lacks the site.

    ``edits`` are made first. Raises ``Unsupported`` for a metric without a gradient or a site that is not
    there.
    """
    found = gradients_by_layer(lm, prompt, metric, site, edits=edits)
    layers = list(found.layers)[::-1]
    return SiteGradients(
        tuple(one.activation for one in layers),
        tuple(one.gradients[0] for one in layers),
        found.metric,
    )


def gradients_by_layer(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    site: str,
    *,
    edits: Counterfactual = (),
    without: Sequence[Sequence[int]] = NOTHING_DROPPED,
    watch: Watch = SILENT,
) -> ByLayer:
    """The same, a layer at a time, for every backward pass of ``without``.

    In each pass nothing flows through what attention and MLP of its layers add (GradDrop). ``watch`` is
    asked before each layer, or each pass. Raises also ``Cancelled``.
    """
    if not metric.differentiable:
        raise Unsupported(f"The metric {metric.info.name} has no gradient.", "Use logit or prob.")
    lm.verified.require_somewhere(site)
    once = len(without) == 1 and backward_pass_is_small(lm, len(prompt.token_ids), site)
    if once or lm.verified.path != "replay":
        return _in_whole_passes(lm, prompt, metric, site, edits, without, watch)
    return _layer_by_layer(lm, prompt, metric, site, edits, without, watch)


def _in_whole_passes(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    site: str,
    edits: Counterfactual,
    without: Sequence[Sequence[int]],
    watch: Watch,
) -> ByLayer:
    """A forward and a backward pass of the whole model for each of ``without``."""
    layers = [0] if site == "embed" else range(lm.anatomy.n_layers)
    having = [layer for layer in layers if lm.verified.has(site, layer)]
    passes, value, activations = [], None, []
    about = run_words(prompt, edited=bool(edits))
    for dropped in without:
        watch.check()
        with ExitStack() as stack:
            stack.enter_context(torch.enable_grad())
            stack.enter_context(to_inputs(lm))
            enter_edits(stack, lm, [edits], lambda _edit: True)
            for layer in dropped:
                _pass_nothing(stack, lm, layer)
            seen = _Seen()
            for layer in having:
                stack.enter_context(at_site(lm.anatomy, site, layer, seen))
            if site in BEFORE_THE_MLP and not any(edit.layer == layers[-1] for edit in edits):
                stack.enter_context(read_at_one(lm, metric.info.position))
            tally = Tally(1)
            with tally.over(lm.anatomy):
                end = metric_of_forward(lm, metric, input_ids(lm, prompt))[0]
            passes.append(seen.gradients(end, None, last=True))
        require_passes(tally, lm, about, end.detach())
        if value is None:
            value, activations = float(end.detach()), [each.detach()[0] for each in seen.copies]
    assert value is not None
    at = {layer: number for number, layer in enumerate(having)}
    return ByLayer(
        value,
        (
            LayerGradients(
                layer, activations[at[layer]], tuple(each[at[layer]][0] for each in passes)
            )
            if layer in at
            else _without_site(lm, layer, len(without))
            for layer in reversed(layers)
        ),
    )


def _without_site(lm: LanguageModel, layer: int, passes: int) -> LayerGradients:
    nothing = torch.empty(0, device=lm.device)
    return LayerGradients(layer, nothing, (nothing,) * passes)


def _layer_by_layer(
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    site: str,
    edits: Counterfactual,
    without: Sequence[Sequence[int]],
    watch: Watch,
) -> ByLayer:
    """One recorded forward pass, then a forward and backward pass of each layer alone."""
    run = record(lm, prompt, (), (edits,))
    with torch.enable_grad(), to_inputs(lm):
        end = run.resid_final[:, metric.info.position].clone().requires_grad_()
        value = metric.of(residual_to_logits(lm.anatomy, end))[0]
        (slope,) = torch.autograd.grad(value, end)
    require_finite(lm, run_words(prompt, edited=bool(edits)), value)
    flow = torch.zeros_like(run.resid_final)
    flow[:, metric.info.position] = slope
    layers = _backwards(run, site, [flow] * len(without), without, watch)
    return ByLayer(float(value.detach()), layers, None if edits else run)


def _backwards(
    run: Run,
    site: str,
    flows: list[torch.Tensor],
    without: Sequence[Sequence[int]],
    watch: Watch,
) -> Iterator[LayerGradients]:
    """``flows``: the gradient [1, pos, d_model] at the end of the last layer, one a pass."""
    for layer in reversed(range(run.lm.anatomy.n_layers)):
        watch.check()
        found = _through_layer(run, layer, site, flows, without)
        if found is not None:
            yield found
        del found  # before the next is made: at the pattern of a long prompt it is large
    if site == "embed":
        yield _at_the_embedding(run, flows)


def _through_layer(
    run: Run,
    layer: int,
    site: str,
    flows: list[torch.Tensor],
    without: Sequence[Sequence[int]],
) -> LayerGradients | None:
    """``flows``, at the layer's output, become those at its input. None where no layer has the site."""
    gradients: dict[int, torch.Tensor] = {}
    seen = _Seen()
    has_it = site != "embed" and run.lm.verified.has(site, layer)
    for drops in (True, False):
        passes = [i for i, dropped in enumerate(without) if (layer in dropped) == drops]
        if not passes:
            continue
        with ExitStack() as stack:
            stack.enter_context(torch.enable_grad())
            stack.enter_context(to_inputs(run.lm))
            enter_edits(stack, run.lm, run.edits, lambda edit: edit.start == layer)
            if drops:
                _pass_nothing(stack, run.lm, layer)
            seen = _Seen()
            if has_it:
                stack.enter_context(at_site(run.lm.anatomy, site, layer, seen))
            start = run.calls[layer].hidden[:].detach().requires_grad_()
            # A copy goes in: some families add to it in place.
            out = run.calls[layer].replay(start.clone())
            for i in passes:
                *here, flow = seen.gradients(out, flows[i].to(out.device), i == passes[-1], start)
                flows[i] = flow
                if here:
                    gradients[i] = here[0][0]
    if site == "embed":
        return None
    if not has_it:
        return _without_site(run.lm, layer, len(without))
    by_pass = tuple(gradients[i] for i in range(len(without)))
    return LayerGradients(layer, seen.copies[0].detach()[0], by_pass)


def _at_the_embedding(run: Run, flows: Sequence[torch.Tensor]) -> LayerGradients:
    """``flows``: the gradient at the input of layer 0."""
    with ExitStack() as stack:
        stack.enter_context(torch.enable_grad())
        stack.enter_context(to_inputs(run.lm))
        enter_edits(stack, run.lm, run.edits, lambda edit: edit.start < 0)
        seen = _Seen()
        stack.enter_context(at_site(run.lm.anatomy, "embed", None, seen))
        begin = first_layer_input(run.lm.anatomy, input_ids(run.lm, run.prompt))
        gradients = tuple(
            seen.gradients(begin, flow.to(begin.device), i == len(flows) - 1)[0][0]
            for i, flow in enumerate(flows)
        )
    return LayerGradients(0, seen.copies[0].detach()[0], gradients)


class _Seen:
    """Puts a copy of each activation in its place, for the gradient to be taken there.

    Kept is another one: some families go on to add to what is put in place.
    """

    def __init__(self) -> None:
        self.copies: list[torch.Tensor] = []

    def __call__(self, value: torch.Tensor) -> torch.Tensor:
        # Where nothing upstream has a gradient, it begins here.
        copy = value.clone() if value.requires_grad else value.detach().clone().requires_grad_()
        self.copies.append(copy)
        return copy.clone()

    def gradients(
        self, end: torch.Tensor, flow: torch.Tensor | None, last: bool, *more: torch.Tensor
    ) -> list[torch.Tensor]:
        """Of ``end``, weighted by ``flow``, with respect to each copy and to ``more``.

        ``last``: no other gradient of this ``end`` is asked for.
        """
        at = [*self.copies, *more]
        found = gradients_of(end, at, flow, retain_graph=not last, allow_unused=True)
        return [
            torch.zeros_like(activation) if gradient is None else gradient
            for activation, gradient in zip(at, found, strict=True)
        ]


def _pass_nothing(stack: ExitStack, lm: LanguageModel, layer: int) -> None:
    for added in ("attn_out", "mlp_out"):
        stack.enter_context(at_site(lm.anatomy, added, layer, torch.Tensor.detach))
