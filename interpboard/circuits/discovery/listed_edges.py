"""Which edges a result lists, and their names."""

from __future__ import annotations

import numpy as np

from interpboard.circuits.discovery.graph import Graph
from interpboard.results import Axis, LabelledArray
from interpboard.results.graph_edges import ALL_EDGES

LISTED_AT_MOST = 1 << 18
"""Of a larger graph's edges only so many are in a result: all names of a 70B model's would take gigabytes."""

Edges = tuple[np.ndarray, np.ndarray]
"""Sender and receiver of each."""


def listed_edges(graph: Graph, scores: np.ndarray, circuit: np.ndarray) -> Edges:
    """The edges that a result lists, in the order of ``Graph.pairs``.

    All of them; where there are more than ``LISTED_AT_MOST``, that many of largest |score| and those of the
    ``circuit`` [sender, receiver].
    """
    senders, receivers = graph.pairs
    if len(senders) <= LISTED_AT_MOST:
        return senders, receivers
    order = np.argsort(-np.abs(scores[senders, receivers]), kind="stable")[:LISTED_AT_MOST]
    chosen = circuit[senders, receivers]
    chosen[order] = True
    return senders[chosen], receivers[chosen]


def edge_axis(graph: Graph, edges: Edges) -> Axis:
    """``edges``, senders and receivers, by name."""
    return Axis("edge", tuple(graph.name(s, r) for s, r in zip(*edges, strict=True)))


def of_unlisted(graph: Graph, listed: Edges) -> tuple[dict[str, LabelledArray], tuple[str, ...]]:
    """What a result that does not list all edges has beside it, and says."""
    n_edges = int(graph.edges.sum())
    if len(listed[0]) == n_edges:
        return {}, ()
    said = (
        f"Of {n_edges:,} edges the {len(listed[0]):,} strongest are listed, the circuit among them."
    )
    return {ALL_EDGES: LabelledArray((), np.array(n_edges))}, (said,)
