"""Scores of a batch's edges in an encoder: what was written times the gradient where it is read.

A receiver's own gradient is that at what it reads; from there it is followed back through each norm of a sum,
as that norm acts in this run, to where a sender wrote. To first order that is what taking the edge away does.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import numpy as np
import torch
from torch import nn

from interpboard.circuits.discovery.activations import Activations
from interpboard.circuits.discovery.edge_evaluator import ExampleBatch
from interpboard.circuits.discovery.edge_runs import record_activations
from interpboard.circuits.discovery.whole_rows.evaluator import RowEvaluator
from interpboard.circuits.discovery.whole_rows.wiring import RowWiring
from interpboard.models.module_hooks import on_input, on_output
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.runs.finite import refusing, require_finite
from interpboard.runs.gradients.embeddings import frozen, wide
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
        """``flow``: gradients at one place of the stream of all receivers that read behind it, the first of
        them first; it is followed from the end to the embedding."""
        graph, scores = self.wiring.graph, np.zeros(self.wiring.graph.edges.shape)
        flow = end[None]

        def put(first: int, changes: torch.Tensor) -> None:
            wide_flow = flow.flatten(1).to(self.dtype)
            product = changes.flatten(1).to(self.dtype) @ wide_flow.T
            behind = slice(len(graph.receivers) - len(flow), None)
            scores[first : first + len(changes), behind] = product.double().cpu().numpy()

        for layer in reversed(range(graph.n_layers)):
            watch.check()
            own = self.wiring.layers[layer]
            flow = self._back(own.end_norm, seen.sums.get(("mlp", layer)), flow)
            put(graph.before_mlp(layer), (self.clean.mlp[layer] - self.reference.mlp[layer])[None])
            mid = at["mid", layer].reshape(end.shape)
            flow = torch.cat([mid[None], flow])
            flow = self._back(own.mid_norm, seen.sums.get(("attention", layer)), flow)
            with torch.no_grad():
                written = own.written(self.clean.z[layer] - self.reference.z[layer])
                put(graph.before_attention(layer), written)
                normed = [
                    projection.pull_back(at[f"projected {number}", layer])
                    for number, projection in enumerate(own.projections)
                ]
            read = self._back(own.norm, seen.sums["read", layer], torch.cat(normed))
            flow = torch.cat([read, flow])
        put(0, (self.clean.embed - self.reference.embed)[None])
        return scores

    def _back(
        self, norm: nn.Module | None, given: torch.Tensor | None, flow: torch.Tensor
    ) -> torch.Tensor:
        """``flow`` [receiver, batch, pos, d_model] at what ``norm`` gives, at what it was ``given``."""
        if norm is None or isinstance(norm, nn.Identity):
            return flow
        assert given is not None
        with torch.enable_grad(), frozen(self.wiring.lm.model):
            given = given.detach()
            streams = given.expand(len(flow), *given.shape).flatten(0, 1).clone().requires_grad_()
            (back,) = torch.autograd.grad(norm.forward(streams), streams, flow.flatten(0, 1))
        return back.view(flow.shape)


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
                stack.enter_context(on_output(projection.module, want))
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
