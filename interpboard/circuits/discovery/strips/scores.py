"""Scores of a batch's edges in an encoder–decoder: what was written times the gradient where it is read."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import torch

from interpboard.circuits.discovery.edge_evaluator import ExampleBatch
from interpboard.circuits.discovery.flow import ReceiverFlow, SummedFlow, Written, pulled
from interpboard.circuits.discovery.normed_sums import norms_sums
from interpboard.circuits.discovery.strips.activations import StripActivations
from interpboard.circuits.discovery.strips.evaluator import StripEvaluator
from interpboard.circuits.discovery.strips.runs import hooked, record_strips
from interpboard.circuits.discovery.strips.wiring import StripWiring
from interpboard.models.frozen import frozen
from interpboard.models.unembedding import run_body
from interpboard.runs.finite import refusing, require_finite
from interpboard.runs.gradients.embeddings import wide
from interpboard.runs.watch import Watch

_ABOUT = "The gradient of the circuit's behaviour"
_Place = tuple[str, int]


class StripBatch:
    """One batch, being scored."""

    def __init__(self, evaluator: StripEvaluator, batch: ExampleBatch) -> None:
        self.evaluator, self.batch, self.wiring = evaluator, batch, evaluator.wiring
        self.reference = evaluator.reference(batch)
        self.clean = record_strips(self.wiring, batch.clean)
        self.dtype = wide(self.clean.embed)

    @property
    def epsilon(self) -> float:
        """Of the number format that products are summed in."""
        return torch.finfo(self.dtype).eps

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
        return self._followed(seen, dict(zip(seen.wanted, found, strict=False)), found[-1], watch)

    def _followed(
        self, seen: _Seen, at: dict[_Place, torch.Tensor], end: torch.Tensor, watch: Watch
    ) -> np.ndarray:
        """Either stream from its end to its beginning; the encoder's ends in every cross attention."""
        graph = self.wiring.graph
        scores = np.zeros(graph.edges.shape)
        flows = {source: self._flow(source, scores) for source in (True, False)}
        flows[False].join(slice(-1, None), end[None])
        for layer in reversed(range(graph.n_layers)):
            watch.check()
            own = self.wiring.layers[layer]
            flow = flows[own.in_source]
            if own.down is not None:
                mlp = graph.mlp_receiver(layer)
                flow.back(own.end_norm, seen.sums.get(("mlp", layer)))
                flow.put(*self._of_mlp(layer))
                flow.join(slice(mlp, mlp + 1), at["mid", layer][None])
            flow.back(own.mid_norm, seen.sums["z", layer])
            flow.put(*self._of_heads(layer))
            self._read(seen, at, layer, flows)
        for source, flow in flows.items():
            flow.put(*self._of_embedding(source))
        return scores

    def _flow(self, source: bool, scores: np.ndarray) -> ReceiverFlow | SummedFlow:
        if norms_sums(self.wiring.layers):
            return ReceiverFlow(self.wiring.lm, scores, self.dtype)
        written = [self._of_embedding(source)]
        for layer, own in enumerate(self.wiring.layers):
            if own.in_source == source:
                written.append(self._of_heads(layer))
                if own.down is not None:
                    written.append(self._of_mlp(layer))
        return SummedFlow(self.wiring.graph.edges, scores, self.dtype, written)

    def _of_embedding(self, source: bool) -> Written:
        clean, reference = self.clean, self.reference
        if source:
            return 0, lambda: (clean.embed - reference.embed)[None]
        first = self.wiring.graph.border
        return first, lambda: (clean.embed_prefix - reference.embed_prefix)[None]

    def _of_heads(self, layer: int) -> Written:
        def make() -> torch.Tensor:
            with torch.no_grad():
                change = self.clean.z[layer] - self.reference.z[layer]
                return self.wiring.layers[layer].written(change)

        return self.wiring.graph.before_attention(layer), make

    def _of_mlp(self, layer: int) -> Written:
        first = self.wiring.graph.before_mlp(layer)
        return first, lambda: (self.clean.mlp[layer] - self.reference.mlp[layer])[None]

    def _read(
        self,
        seen: _Seen,
        at: dict[_Place, torch.Tensor],
        layer: int,
        flows: dict[bool, ReceiverFlow | SummedFlow],
    ) -> None:
        """What the layer's queries, keys and values read joins the flow of its stream."""
        graph, own = self.wiring.graph, self.wiring.layers[layer]
        first = graph.attention_receivers(layer).start
        for number in reversed(range(3)):
            receivers = slice(first + number * graph.n_heads, first + (number + 1) * graph.n_heads)
            source = bool(graph.of_source[receivers.start])
            given = seen.read[layer, source]
            with torch.no_grad():
                read = own.read(number, given[None])[0]
                normed = own.projections[number].pull_back(at["qkv"[number], layer], read)
            flows[source].join(receivers, pulled(self.wiring.lm, own.reads[number], given, normed))


class _Seen:
    """Where gradients are asked for in one pass, the ``sums`` behind attention and MLPs, and the streams that
    attention reads, as they were."""

    def __init__(
        self, wiring: StripWiring, reference: StripActivations, share: float | None
    ) -> None:
        self.wiring, self.reference, self.share = wiring, reference, share
        self.wanted: dict[_Place, torch.Tensor] = {}
        self.sums: dict[_Place, torch.Tensor] = {}
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
                total = self.stream[source] + wired.adds(value.detach())
                self._behind(what, layer, wired.behind_attention(total[None]), total)
            case "mlp":
                total = self.stream[source] + value.detach()
                self._behind(what, layer, wired.behind_mlp(total[None]), total)
            case "mid":
                copy = value.clone()  # that only the MLP reads: the stream goes on past it
                self.wanted["mid", layer] = copy
                return copy
            case _:
                self.read[layer, source] = self.stream[source]
                self.read[layer, True] = self.stream[True]
                self.wanted[what, layer] = value
        return None

    def _behind(self, what: str, layer: int, goes_on: torch.Tensor, total: torch.Tensor) -> None:
        self.sums[what, layer] = total
        self.stream[self.wiring.layers[layer].in_source] = goes_on[0].detach()
