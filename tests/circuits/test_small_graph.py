"""The graph of edges by itself: what it has, and what leads nowhere."""

from __future__ import annotations

import numpy as np

from interpboard.circuits.discovery.graph import Graph


def test_edges_and_inputs_of_a_small_graph_are_known_by_hand() -> None:
    graph = Graph(n_layers=1, n_heads=2, n_kv_heads=1)
    assert graph.senders == ("embed", "0.0", "0.1", "0.mlp")
    assert graph.receivers == ("0.0.q", "0.1.q", "0.0.k", "0.0.v", "0.mlp", "output")
    assert graph.edges.sum(0).tolist() == [1, 1, 1, 1, 3, 4]
    assert graph.reads_for(2) == [1, 2, 3]
    assert [graph.name(s, r) for s, r in zip(*graph.pairs, strict=True)][-2:] == [
        "0.1>output",
        "0.mlp>output",
    ]


def test_edges_on_no_way_to_the_output_are_dropped_and_none_else() -> None:
    graph = Graph(n_layers=2, n_heads=2, n_kv_heads=2)

    def edges(*names: str) -> np.ndarray:
        chosen = np.zeros_like(graph.edges)
        for name in names:
            sender, receiver = name.split(">")
            chosen[graph.senders.index(sender), graph.receivers.index(receiver)] = True
        return chosen

    way = ("embed>0.1.v", "0.1>1.0.k", "1.0>output")
    for dead in ("embed>0.0.q", "0.0>output", "1.mlp>output", "0.0>1.1.v"):
        assert (graph.alive(edges(*way, dead)) == edges(*way)).all()
    assert not graph.alive(edges(*way[:2])).any()
    assert not graph.alive(edges(*way[1:])).any()
    assert graph.alive(graph.edges).sum() == graph.edges.sum()
