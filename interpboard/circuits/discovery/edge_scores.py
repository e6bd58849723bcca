"""How much each edge matters, estimated for all of them at once from gradients.

score = (what the sender writes on the clean prompt − in the reference) · gradient of the behaviour at
the receiver's input, summed over positions. An estimate to first order of what ``faithfulness`` measures.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from interpboard.circuits.discovery.activations import Activations
from interpboard.circuits.discovery.differences import Differences, filling
from interpboard.circuits.discovery.edge_evaluator import EdgeEvaluator, ExampleBatch
from interpboard.circuits.discovery.edge_gradients import EdgeGradients, edge_gradients
from interpboard.circuits.discovery.wiring import Wiring
from interpboard.errors import BadParameter
from interpboard.models.crossing import back
from interpboard.models.sites import at_site
from interpboard.models.unembedding import run_body
from interpboard.runs.finite import refusing
from interpboard.runs.gradients.embeddings import wide
from interpboard.runs.rehearsal import Loop
from interpboard.runs.watch import Watch

_METHODS = ("eap", "eap_ig")
ROUNDING = (
    64  # times the number format's epsilon: a score that is smaller beside the largest is none
)


class Scored(Protocol):
    """One batch, being scored."""

    @property
    def epsilon(self) -> float:
        """Of the number format that products are summed in."""

    def products(self, share: float | None, watch: Watch) -> np.ndarray:
        """changes · gradient [sender, receiver], summed over rows and positions.

        Of the clean run (None), or with the embedding that ``share`` of the way from the reference's.
        """


def edge_scores(
    evaluator: EdgeEvaluator,
    method: str = "eap_ig",
    n_steps: int = 5,
    watch: Watch | None = None,
    scored_by: Callable[[Any, ExampleBatch], Scored] | None = None,
    loop: Loop | None = None,
) -> np.ndarray:
    """Scores [sender, receiver], the mean over the examples, float64; 0 where there is no edge, and where
    the score is no more than what rounding makes of nothing (``without_rounding``).

    ``eap``: the gradient of the clean run (Syed, Rager and Conmy 2023, "Attribution Patching Outperforms
    Automated Circuit Discovery"); two forward passes and one backward a batch. ``eap_ig``: its mean over
    ``n_steps`` midpoints of the way from the reference's embedding to the clean one (Hanna, Pezzelle and
    Belinkov 2024, "Have Faith in Faithfulness"). ``scored_by``: how a batch is scored (None: as one of a
    single stack of layers). ``loop``: of which a rehearsal leaves steps out. Raises ``BadParameter``.
    """
    if method not in _METHODS:
        raise BadParameter(f"There is no method {method!r}.", f"Use {' or '.join(_METHODS)}.")
    watch, scored_by = watch or Watch(), scored_by or ScoredBatch
    shares = [1.0] if method == "eap" else [(k + 0.5) / n_steps for k in range(n_steps)]
    graph = evaluator.wiring.graph
    summed = watch.once("edge scores", lambda: _Summed(np.zeros(graph.edges.shape)))
    all_steps = len(evaluator.batches) * len(shares)
    for number, batch in enumerate(evaluator.batches):
        if summed.done >= (number + 1) * len(shares):
            continue
        scored: Scored | None = None
        for step, share in enumerate(shares, number * len(shares)):
            if step < summed.done:
                continue
            watch.step(step, all_steps)
            if loop is not None and not loop.due(step, 1):
                loop.skip(step, 1, 1)
                continue
            scored = scored or scored_by(evaluator, batch)
            products = scored.products(None if method == "eap" else share, watch)
            summed.scores += products / len(shares)
            summed.done, summed.epsilon = step + 1, scored.epsilon
            if loop is not None:
                loop.took(step, 1)
    if loop is not None:
        loop.close()
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


class ScoredBatch:
    """One batch, being scored: ``changes`` of its senders, filled by the first run that is asked for."""

    def __init__(self, evaluator: EdgeEvaluator, batch: ExampleBatch) -> None:
        self.evaluator, self.batch = evaluator, batch
        self.reference: Activations | None = evaluator.reference(batch)
        self.start = self.reference.embed
        stream = self.start.expand(*batch.clean.shape, -1)
        self.changes = Differences(evaluator.wiring, stream, wide(stream))

    @property
    def epsilon(self) -> float:
        """Of the number format that products are summed in."""
        return torch.finfo(self.changes.dtype).eps

    def products(self, share: float | None, watch: Watch) -> np.ndarray:
        """See ``Scored``."""
        gradients = self.clean() if share is None else self.on_the_way(share)
        return _products(self.evaluator.wiring, gradients, self.changes, watch)

    def clean(self) -> EdgeGradients:
        """Gradients of the clean run, which fills what was written."""
        if self.reference is None or self.changes.in_blocks:
            self._fill()
            return edge_gradients(self.evaluator, self.batch, lambda embed: embed)
        beside, self.reference = self._filling(self.reference), None
        return edge_gradients(self.evaluator, self.batch, lambda embed: embed, beside)

    def on_the_way(self, share: float) -> EdgeGradients:
        """Gradients with the embedding so far on the way from the reference's to the clean one."""
        self._fill()
        return edge_gradients(
            self.evaluator,
            self.batch,
            lambda embed: self.start + share * (embed - self.start),
        )

    def _fill(self) -> None:
        """By a plain run, once. A reference that is large is not held while gradients are computed."""
        if self.reference is None:
            return
        wiring, batch = self.evaluator.wiring, self.batch
        anatomy, seen = wiring.lm.anatomy, list[torch.Tensor]()
        with (
            torch.no_grad(),
            self._filling(self.reference),
            at_site(anatomy, "resid_post", anatomy.n_layers - 1, seen.append),
            refusing(wiring.lm, "A prompt of the circuit's dataset", len(batch.clean)),
        ):
            run_body(anatomy, batch.clean)
        self.evaluator.saw_clean(batch, seen[0])
        self.reference = None
        if self.changes.in_blocks:
            self.evaluator.let_go(batch)

    def _filling(self, reference: Activations) -> AbstractContextManager[None]:
        return filling(self.changes, reference.embed, reference.z, reference.mlp)


@torch.no_grad()
def _products(
    wiring: Wiring, gradients: EdgeGradients, changes: Differences, watch: Watch
) -> np.ndarray:
    """changes · gradient [sender, receiver], summed over rows and positions."""
    graph = wiring.graph
    sums: dict[torch.device, torch.Tensor] = {}  # read at the end: no layer waits for another

    def put(receivers: slice, block: torch.Tensor, gradient: torch.Tensor) -> None:
        product = block.flatten(1) @ gradient.flatten(1).to(block).T
        if block.device not in sums:
            shape = graph.edges.shape
            sums[block.device] = torch.zeros(shape, dtype=torch.float64, device=block.device)
        sums[block.device][: len(block), receivers] += product.double()

    for positions in changes.blocks():
        watch.check()
        block = changes.block(len(graph.senders), positions)
        put(slice(-1, None), block, gradients.end[None, :, positions])
        del block
    for found in gradients.layers:
        mlp = graph.mlp_receiver(found.layer)
        for positions in changes.blocks():
            watch.check()
            block = changes.block(graph.before_mlp(found.layer), positions)
            put(slice(mlp, mlp + 1), block, found.mid[None, :, positions])
            heard = block[: graph.before_attention(found.layer)]
            put(
                graph.attention_receivers(found.layer), heard, found.at_attention(wiring, positions)
            )
            del block, heard
    return sum((own.numpy() for own in back(*sums.values())), np.zeros(graph.edges.shape))
