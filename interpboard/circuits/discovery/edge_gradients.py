"""The gradient of a circuit's behaviour where each receiver reads, in one backward pass or by layers.

Where what the backward pass needs of all layers together would be much, each layer is run once more from its
recorded input, from the last to the first, and what its own backward pass needs is there for this layer only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace

import torch

from interpboard.circuits.discovery.edge_evaluator import EdgeEvaluator, ExampleBatch
from interpboard.circuits.discovery.wiring import Wiring
from interpboard.models.calls import LayerCall, recording_calls
from interpboard.models.frozen import frozen
from interpboard.models.module_hooks import on_input
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.runs.finite import refusing, require_finite
from interpboard.runs.steps import layers_are_recomputed

_ABOUT = "The gradient of the circuit's behaviour"
Begin = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class ReceiverGradients:
    """In one layer: at the output of each of attention's projections [batch, pos, out], and at what the MLP
    reads, ``mid``; ``stream``: the layer's input. Both [batch, pos, d_model]."""

    layer: int
    stream: torch.Tensor
    projected: tuple[torch.Tensor, ...]
    mid: torch.Tensor

    def at_attention(self, wiring: Wiring, positions: slice) -> torch.Tensor:
        """At the inputs of the layer's queries, keys and values [receiver, batch, pos, d_model]."""
        attention = wiring.layers[self.layer]
        normed = attention.normed(self.stream[None, :, positions])[0]
        at_normed = torch.cat([
            projection.pull_back(gradient[:, positions], normed)
            for projection, gradient in zip(attention.projections, self.projected, strict=True)
        ])  # fmt: skip
        with torch.enable_grad(), frozen(wiring.lm.model):
            stream = self.stream[:, positions].detach()
            streams = stream.expand(len(at_normed), *stream.shape).clone().requires_grad_()
            (gradient,) = torch.autograd.grad(attention.normed(streams), streams, at_normed)
        return gradient


@dataclass(frozen=True)
class EdgeGradients:
    """``end``: at what the output reads [batch, pos, d_model]; ``layers`` from the last to the first, each
    made when it is asked for."""

    end: torch.Tensor
    layers: Iterator[ReceiverGradients]


def edge_gradients(
    evaluator: EdgeEvaluator,
    batch: ExampleBatch,
    begin: Begin,
    beside: AbstractContextManager[None] | None = None,
) -> EdgeGradients:
    """Of the summed behaviour on the clean prompts of ``batch``, with what ``begin`` makes of the embedding.

    ``beside`` is open while the prompts are run. Raises ``NotFinite``.
    """
    rows, length = batch.clean.shape
    with beside or nullcontext():
        if layers_are_recomputed(evaluator.wiring.lm, rows * length):
            return _layer_by_layer(evaluator, batch, begin)
        return _in_one_pass(evaluator, batch, begin)


class _Seen:
    """Where a layer's gradients are asked for: outputs of projections, and a copy that only the MLP reads."""

    def __init__(self, stack: ExitStack, wiring: Wiring, layer: int) -> None:
        self.projected: list[torch.Tensor] = []
        self.mid: list[torch.Tensor] = []
        for projection in wiring.layers[layer].projections:
            stack.enter_context(projection.on_stream(self.projected.append))
        stack.enter_context(on_input(wiring.lm.anatomy.before_mlp[layer], self._apart))

    def _apart(self, hidden: torch.Tensor) -> torch.Tensor:
        # The stream itself goes on past it.
        copy = hidden.clone()
        self.mid.append(copy)
        return copy

    @property
    def wanted(self) -> list[torch.Tensor]:
        return [*self.projected, *self.mid]


def _in_one_pass(evaluator: EdgeEvaluator, batch: ExampleBatch, begin: Begin) -> EdgeGradients:
    wiring, anatomy = evaluator.wiring, evaluator.wiring.lm.anatomy
    streams: list[torch.Tensor] = []
    ends: list[torch.Tensor] = []
    with ExitStack() as stack:
        stack.enter_context(torch.enable_grad())
        stack.enter_context(frozen(wiring.lm.model))
        start = lambda hidden: begin(hidden.detach()).clone().requires_grad_()  # noqa: E731
        stack.enter_context(at_site(anatomy, "resid_pre", 0, start))
        seen = []
        for layer in range(anatomy.n_layers):
            stack.enter_context(at_site(anatomy, "resid_pre", layer, streams.append))
            seen.append(_Seen(stack, wiring, layer))
        stack.enter_context(at_site(anatomy, "resid_post", anatomy.n_layers - 1, ends.append))
        with refusing(wiring.lm, "A run of the circuit's dataset", len(batch.clean)):
            run_body(anatomy, batch.clean)
        value = evaluator.of_output(batch, ends[0]).sum()
        wanted = [tensor for layer in seen for tensor in layer.wanted]
        found = torch.autograd.grad(value, [*wanted, ends[0]])
    require_finite(wiring.lm, _ABOUT, *found)
    gradients = iter(found)
    layers = [
        _of_layer(layer, streams[layer], [next(gradients) for _ in own.wanted])
        for layer, own in enumerate(seen)
    ]
    return EdgeGradients(found[-1], iter(layers[::-1]))


def _layer_by_layer(evaluator: EdgeEvaluator, batch: ExampleBatch, begin: Begin) -> EdgeGradients:
    wiring, anatomy = evaluator.wiring, evaluator.wiring.lm.anatomy
    calls: list[LayerCall] = []
    ends: list[torch.Tensor] = []
    begun: list[torch.Tensor] = []

    def start(hidden: torch.Tensor) -> torch.Tensor:
        begun.append(begin(hidden.detach()).clone())
        return begun[0]

    with torch.no_grad(), ExitStack() as stack:
        stack.enter_context(at_site(anatomy, "resid_pre", 0, start))
        stack.enter_context(recording_calls(anatomy, calls))
        stack.enter_context(at_site(anatomy, "resid_post", anatomy.n_layers - 1, ends.append))
        with refusing(wiring.lm, "A run of the circuit's dataset", len(batch.clean)):
            run_body(anatomy, batch.clean)
    # Calls are recorded in front of all hooks, and a replay has this one no more.
    calls[0] = replace(calls[0], hidden=calls[0].keeper.keep(begun.pop()))
    with torch.enable_grad(), frozen(wiring.lm.model):
        end = ends.pop().requires_grad_()
        value = evaluator.of_output(batch, end).sum()
        (flow,) = torch.autograd.grad(value, end)
    require_finite(wiring.lm, _ABOUT, flow)
    return EdgeGradients(flow, _backwards(wiring, calls, flow))


def _backwards(
    wiring: Wiring, calls: list[LayerCall], flow: torch.Tensor
) -> Iterator[ReceiverGradients]:
    """``flow``: the gradient at the last layer's output. Each call is let go as its layer is left."""
    while calls:
        call, layer = calls.pop(), len(calls)
        with ExitStack() as stack:
            stack.enter_context(torch.enable_grad())
            stack.enter_context(frozen(wiring.lm.model))
            seen = _Seen(stack, wiring, layer)
            start = call.hidden[:].detach().requires_grad_()
            # A copy goes in: some families add to it in place.
            out = call.replay(start.clone(), torch.arange(len(start)))
            found = torch.autograd.grad(out, [*seen.wanted, start], flow.to(out.device))
            del out
        require_finite(wiring.lm, _ABOUT, *found)
        flow = found[-1]
        del seen
        yield _of_layer(layer, start, found[:-1])


def _of_layer(
    layer: int, stream: torch.Tensor, found: list[torch.Tensor] | tuple[torch.Tensor, ...]
) -> ReceiverGradients:
    stream = stream.detach()
    return ReceiverGradients(layer, stream, tuple(found[:-1]), found[-1].reshape(stream.shape))
