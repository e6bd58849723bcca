"""Scores of a batch's edges in an encoder–decoder: what was written times the gradient where it is read."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import torch

from interpboard.circuits.discovery.edge_evaluator import ExampleBatch
from interpboard.circuits.discovery.strips.evaluator import StripEvaluator
from interpboard.circuits.discovery.strips.runs import StripActivations, hooked, record_strips
from interpboard.circuits.discovery.strips.wiring import StripWiring
from interpboard.models.unembedding import run_body
from interpboard.runs.finite import refusing, require_finite
from interpboard.runs.gradients.embeddings import frozen, wide
from interpboard.runs.watch import Watch

_ABOUT = "The gradient of the circuit's behaviour"


class StripBatch:
    """One batch, being scored. ``changes``: of the source's senders, and of the prefix's
    [sender, batch, pos, d_model]."""

    def __init__(self, evaluator: StripEvaluator, batch: ExampleBatch) -> None:
        self.evaluator, self.batch, self.wiring = evaluator, batch, evaluator.wiring
        self.reference = evaluator.reference(batch)
        clean = record_strips(self.wiring, batch.clean)
        self.changes = {
            source: _changes(self.wiring, clean, self.reference, source) for source in (True, False)
        }

    @property
    def epsilon(self) -> float:
        """Of the number format that products are summed in."""
        return torch.finfo(self.changes[True].dtype).eps

    def products(self, share: float | None, watch: Watch) -> np.ndarray:
        """changes · gradient [sender, receiver], summed over rows and positions.

        Of the clean run (None), or with both embeddings that ``share`` of the way from the reference's.
        """
        watch.check()
        seen = _Seen(self.wiring, self.reference, share)
        evaluator, lm = self.evaluator, self.wiring.lm
        with ExitStack() as stack:
            stack.enter_context(torch.enable_grad())
            stack.enter_context(frozen(lm.model))
            stack.enter_context(hooked(self.wiring, seen))
            with refusing(lm, "A run of the circuit's dataset", len(self.batch.clean)):
                run_body(lm.anatomy, self.batch.clean)
            value = evaluator.of_output(self.batch, seen.end).sum()
            found = torch.autograd.grad(value, [*seen.wanted.values(), seen.end])
        require_finite(lm, _ABOUT, *found)
        return self._scored(seen, dict(zip(seen.wanted, found, strict=False)), found[-1], watch)

    @torch.no_grad()
    def _scored(
        self,
        seen: _Seen,
        at: dict[tuple[str, int], torch.Tensor],
        end: torch.Tensor,
        watch: Watch,
    ) -> np.ndarray:
        graph = self.wiring.graph
        scores = np.zeros(graph.edges.shape)

        def put(receivers: slice, gradient: torch.Tensor) -> None:
            heard = graph.seen(graph.receivers[receivers.start])
            source = heard.start == 0
            begin = 0 if source else graph.border
            changes = self.changes[source][: heard.stop - begin].flatten(1)
            product = changes @ gradient.flatten(1).to(changes).T
            scores[heard, receivers] = product.double().cpu().numpy()

        last = len(graph.receivers) - 1
        put(slice(last, last + 1), end[None])
        for (what, layer), gradient in at.items():
            watch.check()
            if what == "mid":
                receiver = graph.mlp_receiver(layer)
                put(slice(receiver, receiver + 1), gradient[None])
                continue
            number = "qkv".index(what)
            first = graph.attention_receivers(layer).start + number * graph.n_heads
            wired = self.wiring.layers[layer]
            at_normed = wired.projections[number].pull_back(gradient)
            source = graph.seen(graph.receivers[first]).start == 0
            with torch.enable_grad(), frozen(self.wiring.lm.model):
                stream = seen.read[layer, source]
                streams = stream.expand(len(at_normed), *stream.shape).clone().requires_grad_()
                (at_stream,) = torch.autograd.grad(wired.read(number, streams), streams, at_normed)
            put(slice(first, first + graph.n_heads), at_stream)
        return scores


class _Seen:
    """Where gradients are asked for in one pass, and the streams that attention reads, as they were."""

    def __init__(
        self, wiring: StripWiring, reference: StripActivations, share: float | None
    ) -> None:
        self.wiring, self.reference, self.share = wiring, reference, share
        self.wanted: dict[tuple[str, int], torch.Tensor] = {}
        self.read: dict[tuple[int, bool], torch.Tensor] = {}
        self.stream: dict[bool, torch.Tensor] = {}
        self.end: torch.Tensor

    def __call__(self, what: str, layer: int, value: torch.Tensor) -> torch.Tensor | None:
        if what in ("embed", "embed_prefix"):
            source = what == "embed"
            begin = self.reference.embed if source else self.reference.embed_prefix
            start = value.detach()
            if self.share is not None:
                start = begin + self.share * (start - begin)
            self.stream[source] = start
            return start.clone().requires_grad_()
        if what == "end":
            self.end = value
            return None
        wired = self.wiring.layers[layer]
        source = wired.in_source
        match what:
            case "z":
                added = wired.adds(value.detach())
                self.stream[source] = self.stream[source] + added
            case "mlp":
                self.stream[source] = self.stream[source] + value.detach()
            case "mid":
                copy = value.clone()  # that only the MLP reads: the stream goes on past it
                self.wanted["mid", layer] = copy
                return copy
            case _:
                self.read[layer, source] = self.stream[source]
                self.read[layer, True] = self.stream[True]
                self.wanted[what, layer] = value
        return None


@torch.no_grad()
def _changes(
    wiring: StripWiring, clean: StripActivations, reference: StripActivations, source: bool
) -> torch.Tensor:
    """What each sender of a strip writes on the clean prompts less in the reference."""
    if source:
        parts = [(clean.embed - reference.embed)[None]]
    else:
        parts = [(clean.embed_prefix - reference.embed_prefix)[None]]
    for layer, own in enumerate(wiring.layers):
        if own.in_source != source:
            continue
        parts.append(own.written(clean.z[layer] - reference.z[layer]))
        if own.down is not None:
            parts.append((clean.mlp[layer] - reference.mlp[layer])[None])
    changes = torch.cat(parts)
    return changes.to(wide(changes))
