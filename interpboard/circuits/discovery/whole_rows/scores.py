"""Scores of a batch's edges in an encoder: what was written times the gradient where it is read."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import numpy as np
import torch

from interpboard.circuits.discovery.activations import Activations
from interpboard.circuits.discovery.edge_evaluator import ExampleBatch
from interpboard.circuits.discovery.edge_runs import record_activations
from interpboard.circuits.discovery.flow import ReceiverFlow, SummedFlow, Written, pulled
from interpboard.circuits.discovery.normed_sums import norms_sums
from interpboard.circuits.discovery.whole_rows.evaluator import RowEvaluator
from interpboard.circuits.discovery.whole_rows.wiring import RowWiring
from interpboard.models.frozen import frozen
from interpboard.models.module_hooks import on_input
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.runs.finite import refusing, require_finite
from interpboard.runs.gradients.embeddings import wide
from interpboard.runs.watch import Watch

_ABOUT = "The gradient of the circuit's behaviour"
_Place = tuple[str, int]


class RowBatch:
    """One batch, being scored."""

    def __init__(self, evaluator: RowEvaluator, batch: ExampleBatch) -> None:
        self.evaluator, self.batch, self.wiring = evaluator, batch, evaluator.wiring
        self.reference = evaluator.reference(batch)
        self.clean = record_activations(self.wiring, batch.clean)
        self.dtype = wide(self.clean.embed)

    @property
    def epsilon(self) -> float:
        """Of the number format that products are summed in."""
        return torch.finfo(self.dtype).eps

    def products(self, share: float | None, watch: Watch) -> np.ndarray:
        """changes · gradient [sender, receiver], summed over rows and positions.

        Of the clean run (None), or with the embedding that ``share`` of the way from the reference's.
        """
        watch.check()
        seen = _Seen(self.wiring, self.reference, share)
        lm = self.wiring.lm
        with ExitStack() as stack:
            stack.enter_context(torch.enable_grad())
            stack.enter_context(frozen(lm.model))
            seen.hang(stack)
            with refusing(lm, "A run of the circuit's dataset", len(self.batch.clean)):
                run_body(lm.anatomy, self.batch.clean)
            end = seen.sums["end", len(self.wiring.layers)]
            value = self.evaluator.of_output(self.batch, end).sum()
            found = torch.autograd.grad(value, [*seen.wanted.values(), end])
        require_finite(lm, _ABOUT, *found)
        gradients = dict(zip(seen.wanted, found, strict=False))
        return self._followed(seen, gradients, found[-1], watch)

    def _followed(
        self,
        seen: _Seen,
        at: dict[_Place, torch.Tensor],
        end: torch.Tensor,
        watch: Watch,
    ) -> np.ndarray:
        graph, lm, scores = (
            self.wiring.graph,
            self.wiring.lm,
            np.zeros(self.wiring.graph.edges.shape),
        )
        flow = self._flow(scores)
        flow.join(slice(-1, None), end[None])
        for layer in reversed(range(graph.n_layers)):
            watch.check()
            own, mlp = self.wiring.layers[layer], graph.mlp_receiver(layer)
            flow.back(own.end_norm, seen.sums.get(("mlp", layer)))
            flow.put(*self._of_mlp(layer))
            flow.join(slice(mlp, mlp + 1), at["mid", layer].reshape(end.shape)[None])
            flow.back(own.mid_norm, seen.sums.get(("attention", layer)))
            flow.put(*self._of_heads(layer))
            with torch.no_grad():
                stream = seen.sums["read", layer]
                normed = own.normed(stream[None])[0]
                at_normed = [
                    projection.pull_back(at[f"projected {number}", layer], normed)
                    for number, projection in enumerate(own.projections)
                ]
            read = pulled(lm, own.norm, stream, torch.cat(at_normed))
            flow.join(graph.attention_receivers(layer), read)
        flow.put(*self._of_embedding())
        return scores

    def _flow(self, scores: np.ndarray) -> ReceiverFlow | SummedFlow:
        if norms_sums(self.wiring.layers):
            return ReceiverFlow(self.wiring.lm, scores, self.dtype)
        written = [self._of_embedding()]
        for layer in range(self.wiring.graph.n_layers):
            written += [self._of_heads(layer), self._of_mlp(layer)]
        return SummedFlow(self.wiring.graph.edges, scores, self.dtype, written)

    def _of_embedding(self) -> Written:
        return 0, lambda: (self.clean.embed - self.reference.embed)[None]

    def _of_heads(self, layer: int) -> Written:
        def make() -> torch.Tensor:
            with torch.no_grad():
                change = self.clean.z[layer] - self.reference.z[layer]
                return self.wiring.layers[layer].written(change)

        return self.wiring.graph.before_attention(layer), make

    def _of_mlp(self, layer: int) -> Written:
        first = self.wiring.graph.before_mlp(layer)
        return first, lambda: (self.clean.mlp[layer] - self.reference.mlp[layer])[None]


class _Seen:
    """Where gradients are asked for in one pass, and what norms were given in it.

    ``sums``: by ``read`` a layer's input, by ``attention`` and ``mlp`` the sums behind them, by ``end`` the
    last layer's output.
    """

    def __init__(self, wiring: RowWiring, reference: Activations, share: float | None) -> None:
        self.wiring, self.reference, self.share = wiring, reference, share
        self.wanted: dict[_Place, torch.Tensor] = {}
        self.sums: dict[_Place, torch.Tensor] = {}

    def hang(self, stack: ExitStack) -> None:
        """Hear of all of it while ``stack`` is open."""
        anatomy = self.wiring.lm.anatomy
        stack.enter_context(at_site(anatomy, "resid_pre", 0, self._begin))
        for layer, own in enumerate(self.wiring.layers):
            stack.enter_context(
                at_site(anatomy, "resid_pre", layer, partial(self._sum, "read", layer))
            )
            for number, projection in enumerate(own.projections):
                want = partial(self._want, f"projected {number}", layer)
                stack.enter_context(projection.on_stream(want))
            stack.enter_context(on_input(anatomy.before_mlp[layer], partial(self._apart, layer)))
            for name, norm in ("attention", own.mid_norm), ("mlp", own.end_norm):
                if norm is not None:
                    stack.enter_context(on_input(norm, partial(self._sum, name, layer)))
        last = anatomy.n_layers
        end = partial(self._sum, "end", last)
        stack.enter_context(at_site(anatomy, "resid_post", last - 1, end))

    def _begin(self, embedded: torch.Tensor) -> torch.Tensor:
        start = embedded.detach()
        if self.share is not None:
            start = self.reference.embed + self.share * (start - self.reference.embed)
        return start.clone().requires_grad_()

    def _sum(self, name: str, layer: int, value: torch.Tensor) -> None:
        self.sums[name, layer] = value

    def _want(self, name: str, layer: int, value: torch.Tensor) -> None:
        self.wanted[name, layer] = value

    def _apart(self, layer: int, hidden: torch.Tensor) -> torch.Tensor:
        copy = hidden.clone()  # that only the MLP reads: the stream goes on past it
        self.wanted["mid", layer] = copy
        return copy
