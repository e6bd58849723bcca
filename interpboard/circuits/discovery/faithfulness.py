"""Circuits from edge scores, and what they are worth: always measured, never taken from the scores.

faithfulness = (circuit alone − reference) / (whole model − reference): 1 = the circuit does all of it.
completeness = 1 − the same share for everything *but* the circuit: 1 = without it nothing is left.
Both can leave 0 … 1, since parts may work against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from interpboard.circuits.discovery.edge_evaluator import EdgeEvaluator
from interpboard.circuits.discovery.graph import Graph
from interpboard.runs.watch import SILENT, Watch

SHARES = (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)


@dataclass(frozen=True, eq=False)
class Measured:
    """A set of edges [sender, receiver], those on no way from embedding to output left out."""

    edges: np.ndarray
    faithfulness: float
    completeness: float

    @property
    def size(self) -> int:
        """How many edges."""
        return int(self.edges.sum())


def top_edges(graph: Graph, scores: np.ndarray, count: int) -> np.ndarray:
    """The ``count`` edges of largest |score|, less those on no way from the embedding to the output.

    An edge of score 0 is never among them, however many are asked for: nothing ranks it. Only a ``count``
    of all edges is the whole model.
    """
    senders, receivers = graph.pairs
    sizes = np.abs(scores[senders, receivers])
    order = np.argsort(-sizes, kind="stable")[:count]
    if count < len(sizes):
        order = order[sizes[order] > 0]
    chosen = np.zeros_like(graph.edges)
    chosen[senders[order], receivers[order]] = True
    return graph.alive(chosen)


def series(graph: Graph, sizes: Sequence[int] | None = None) -> list[int]:
    """Sizes to measure, ascending: those given, or shares of all edges from none to all."""
    n_edges = int(graph.edges.sum())
    chosen = [round(share * n_edges) for share in SHARES] if sizes is None else list(sizes)
    return sorted({min(max(0, size), n_edges) for size in chosen})


def distinct(graph: Graph, scores: np.ndarray, sizes: Sequence[int]) -> dict[int, np.ndarray]:
    """The circuit of each of ``sizes``, those left out that give the same one as a smaller size."""
    found: dict[int, np.ndarray] = {}
    for size in sizes:
        edges = top_edges(graph, scores, size)
        if not any(np.array_equal(edges, other) for other in found.values()):
            found[size] = edges
    return found


def curve_areas(
    n_edges: int, sizes: Sequence[int], faithfulness: Sequence[float]
) -> tuple[float, float]:
    """CPR and CMD of a series of circuits, ``sizes`` ascending, over the share of edges from none to all.

    CPR, the circuit's performance ratio: the area under the faithfulness; 1 were all of it there at once, and
    above 1 where parts do more than the model. CMD, the circuit's distance from the model: the area between
    the faithfulness and 1; 0 were it the model at once. By trapezoids, as in MIB (Mueller et al. 2025, "MIB:
    A Mechanistic Interpretability Benchmark"). No edges have 0, all have 1, by definition.
    """
    known = {0.0: 0.0, 1.0: 1.0}
    known |= {size / n_edges: own for size, own in zip(sizes, faithfulness, strict=True)}
    shares = sorted(known)
    own = np.array([known[share] for share in shares])
    return float(np.trapezoid(own, shares)), float(np.trapezoid(np.abs(1.0 - own), shares))


def measure_edges(evaluator: EdgeEvaluator, edges: np.ndarray, watch: Watch = SILENT) -> Measured:
    """Run the model with only ``edges``, and with all but ``edges``."""
    graph = evaluator.wiring.graph
    without = evaluator.recovered(graph.edges & ~edges, watch)
    return Measured(edges, evaluator.recovered(edges, watch), 1.0 - without)


def smallest(curve: Sequence[Measured], keep: float) -> Measured | None:
    """The smallest circuit of ``curve`` whose faithfulness is at least ``keep``."""
    enough = [point for point in curve if point.faithfulness >= keep]
    return min(enough, key=lambda point: point.size, default=None)


def prune(
    evaluator: EdgeEvaluator,
    edges: np.ndarray,
    scores: np.ndarray,
    keep: float,
    watch: Watch = SILENT,
    on_size: Callable[[int], None] = lambda _size: None,
) -> np.ndarray:
    """``edges`` less all that can be taken away while the measured faithfulness stays at ``keep`` or more.

    Greedy, as ACDC is (Conmy et al. 2023, "Towards Automated Circuit Discovery"), with two differences:
    edges are tried from the smallest |score| up, and in runs that double while nothing is lost and halve
    where something is. An edge stays only if taking away it alone was measured to cost too much. Every
    removal is verified by running the model; ``on_size`` hears the size after each.
    """
    graph = evaluator.wiring.graph
    kept = graph.alive(edges)
    senders, receivers = np.nonzero(kept)
    order = np.argsort(np.abs(scores[senders, receivers]), kind="stable")
    waiting = [(senders[i], receivers[i]) for i in order]
    run = max(1, len(waiting) // 8)
    while waiting:
        waiting = [edge for edge in waiting if kept[edge]]
        run = min(run, len(waiting))
        if not run:
            break
        trial = kept.copy()
        for edge in waiting[:run]:
            trial[edge] = False
        trial = graph.alive(trial)
        if evaluator.recovered(trial, watch) >= keep:
            kept, waiting, run = trial, waiting[run:], run * 2
            on_size(int(kept.sum()))
        elif run == 1:
            waiting = waiting[1:]
        else:
            run //= 2
    return kept
