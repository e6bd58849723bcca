"""How much each edge matters, estimated for all of them at once from gradients.

score = (what the sender writes on the clean prompt − in the reference) · gradient of the behaviour at
the receiver's input, summed over positions. An estimate to first order of what ``faithfulness`` measures.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch

from interpboard.circuits.discovery.edge_evaluator import EdgeEvaluator, ExampleBatch
from interpboard.circuits.discovery.edge_runs import (
    Activations,
    on_input,
    on_output,
    record_activations,
)
from interpboard.circuits.discovery.wiring import Wiring
from interpboard.errors import BadParameter
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.runs.finite import refusing, require_finite
from interpboard.runs.gradients.embeddings import frozen
from interpboard.runs.metrics import at_least_float32
from interpboard.runs.watch import Watch

_METHODS = ("eap", "eap_ig")
ROUNDING = (
    64  # times the number format's epsilon: a score that is smaller beside the largest is none
)


def edge_scores(
    evaluator: EdgeEvaluator, method: str = "eap_ig", n_steps: int = 5, watch: Watch | None = None
) -> np.ndarray:
    """Scores [sender, receiver], the mean over the examples, float64; 0 where there is no edge, and where
    the score is no more than what rounding makes of nothing (``without_rounding``).

    ``eap``: the gradient of the clean run (Syed, Rager and Conmy 2023, "Attribution Patching Outperforms
    Automated Circuit Discovery"); two forward passes and one backward a batch. ``eap_ig``: its mean over
    ``n_steps`` midpoints of the way from the reference's embedding to the clean one (Hanna, Pezzelle and
    Belinkov 2024, "Have Faith in Faithfulness"). Raises ``BadParameter``.
    """
    if method not in _METHODS:
        raise BadParameter(f"There is no method {method!r}.", f"Use {' or '.join(_METHODS)}.")
    watch = watch or Watch()
    shares = [1.0] if method == "eap" else [(k + 0.5) / n_steps for k in range(n_steps)]
    graph = evaluator.wiring.graph
    summed = watch.once("edge scores", lambda: _Summed(np.zeros(graph.edges.shape)))
    all_steps = len(evaluator.batches) * len(shares)
    for number, batch in enumerate(evaluator.batches):
        changes: torch.Tensor | None = None
        for step, share in enumerate(shares, number * len(shares)):
            if step < summed.done:
                continue
            watch.step(step, all_steps)
            gradients = _Gradients(evaluator, batch, None if method == "eap" else share)
            if changes is None:
                clean = (
                    gradients.activations()
                    if method == "eap"
                    else record_activations(evaluator.wiring, batch.clean)
                )
                changes = _changes(evaluator.wiring, clean, evaluator.reference(batch))
            products = _products(evaluator.wiring, gradients, changes, watch)
            summed.scores += products / len(shares)
            summed.done, summed.epsilon = step + 1, torch.finfo(changes.dtype).eps
    watch.step(all_steps, all_steps)
    mean = np.where(graph.edges, summed.scores / evaluator.n_examples, 0.0)
    return without_rounding(mean, summed.epsilon)


@dataclass
class _Summed:
    """Scores [sender, receiver] summed over the first ``done`` gradients; ``epsilon`` of their format."""

    scores: np.ndarray
    done: int = 0
    epsilon: float = 0.0


def without_rounding(scores: np.ndarray, epsilon: float) -> np.ndarray:
    """``scores`` with 0 for those that are below ``ROUNDING`` · ``epsilon`` of the largest.

    A sum of products that cancel is not 0 in floating point. Such an edge would be ranked and kept like
    one that carries something.
    """
    sizes = np.abs(scores)
    kept: np.ndarray = np.where(sizes > ROUNDING * epsilon * sizes.max(initial=0.0), scores, 0.0)
    return kept


@dataclass
class _Seen:
    """One forward pass: what was written, and where the behaviour's gradient is asked for."""

    pre: list[torch.Tensor]
    z: list[torch.Tensor]
    mlp: list[torch.Tensor]
    mid: list[torch.Tensor]
    projected: list[torch.Tensor]
    end: list[torch.Tensor]


class _Gradients:
    """The gradient of the summed behaviour at every receiver's input, from one backward pass.

    ``share`` None: of the clean run; else with the embedding that far on the way from the reference.
    """

    def __init__(self, evaluator: EdgeEvaluator, batch: ExampleBatch, share: float | None) -> None:
        self.wiring = evaluator.wiring
        anatomy = self.wiring.lm.anatomy
        self.seen = _Seen([], [], [], [], [], [])
        reference = None if share is None else evaluator.reference(batch).embed

        def begin(hidden: torch.Tensor) -> torch.Tensor:
            start = hidden.detach()
            if reference is not None and share is not None:
                start = reference + share * (start - reference)
            return start.clone().requires_grad_()

        def apart(hidden: torch.Tensor) -> torch.Tensor:
            # A copy that only the MLP reads: the stream itself goes on past it.
            copy = hidden.clone()
            self.seen.mid.append(copy)
            return copy

        with ExitStack() as stack:
            stack.enter_context(torch.enable_grad())
            stack.enter_context(frozen(self.wiring.lm.model))
            stack.enter_context(at_site(anatomy, "resid_pre", 0, begin))
            for layer, own in enumerate(self.wiring.layers):
                stack.enter_context(at_site(anatomy, "resid_pre", layer, self.seen.pre.append))
                for projection in own.projections:
                    stack.enter_context(on_output(projection.module, self.seen.projected.append))
                stack.enter_context(at_site(anatomy, "z", layer, self.seen.z.append))
                stack.enter_context(on_input(anatomy.before_mlp[layer], apart))
                stack.enter_context(at_site(anatomy, "mlp_out", layer, self.seen.mlp.append))
            last = anatomy.n_layers - 1
            stack.enter_context(at_site(anatomy, "resid_post", last, self.seen.end.append))
            with refusing(self.wiring.lm, "A run of the circuit's dataset", len(batch.clean)):
                run_body(anatomy, batch.clean)
            value = evaluator.of_output(batch, self.seen.end[0]).sum()
            wanted = [*self.seen.projected, *self.seen.mid, *self.seen.end]
            found = torch.autograd.grad(value, wanted)
        require_finite(self.wiring.lm, "The gradient of the circuit's behaviour", *found)
        self.projected = list(found[: len(self.seen.projected)])
        self.mid = found[len(self.projected) : -1]
        self.end = found[-1]

    def activations(self) -> Activations:
        """What the pass wrote."""
        pre, seen = [p.detach() for p in self.seen.pre], self.seen
        mid = tuple(m.detach().reshape(pre[0].shape) for m in seen.mid)
        z, mlp = tuple(t.detach() for t in seen.z), tuple(t.detach() for t in seen.mlp)
        return Activations(pre[0], z, mlp, tuple(pre), mid, seen.end[0].detach())

    def attention(self, layer: int) -> torch.Tensor:
        """At the inputs of the layer's queries, keys and values [receiver, batch, pos, d_model]."""
        attention = self.wiring.layers[layer]
        first = sum(len(before.projections) for before in self.wiring.layers[:layer])
        parts = self.projected[first : first + len(attention.projections)]
        at_normed = torch.cat(
            [p.pull_back(g) for p, g in zip(attention.projections, parts, strict=True)]
        )
        with torch.enable_grad(), frozen(self.wiring.lm.model):
            stream = self.seen.pre[layer].detach()
            streams = stream.expand(len(at_normed), *stream.shape).clone().requires_grad_()
            (gradient,) = torch.autograd.grad(attention.normed(streams), streams, at_normed)
        return gradient


def _changes(wiring: Wiring, clean: Activations, reference: Activations) -> torch.Tensor:
    """What each sender writes on the clean prompts less in the reference [sender, batch, pos, d_model]."""
    parts = [(clean.embed - reference.embed)[None]]
    for layer, attention in enumerate(wiring.layers):
        parts.append(attention.written(clean.z[layer] - reference.z[layer]))
        parts.append((clean.mlp[layer] - reference.mlp[layer])[None])
    return at_least_float32(torch.cat(parts))


@torch.no_grad()
def _products(
    wiring: Wiring, gradients: _Gradients, changes: torch.Tensor, watch: Watch
) -> np.ndarray:
    """changes · gradient [sender, receiver], summed over rows and positions."""
    graph = wiring.graph
    scores = np.zeros(graph.edges.shape)
    flat = changes.flatten(1)

    def put(receivers: slice, seen: int, gradient: torch.Tensor) -> None:
        product = flat[:seen] @ gradient.flatten(1).to(flat).T
        scores[:seen, receivers] = product.double().cpu().numpy()

    for layer in range(graph.n_layers):
        watch.check()
        attention = graph.attention_receivers(layer)
        put(attention, graph.before_attention(layer), gradients.attention(layer))
        mlp = graph.mlp_receiver(layer)
        put(slice(mlp, mlp + 1), graph.before_mlp(layer), gradients.mid[layer].reshape(1, -1))
    put(slice(-1, None), len(graph.senders), gradients.end[None])
    return scores
