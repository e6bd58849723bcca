"""What a diagram shows: the nodes and edges of a circuit, strongest edges first to stay."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from interpboard.display import visible
from interpboard.errors import BadParameter, BadResultFile
from interpboard.registry.component_names import LAYER
from interpboard.results import Result

_END = rf"(embed|[ED]\.embed|output|{LAYER}\.(?:\d+|mlp))"
_EDGE = re.compile(rf"{_END}>{_END}(?:\.([qkv]))?")


@dataclass(frozen=True)
class Node:
    """A part of the model. ``rank``: its place from embedding (0) to output; heads of a layer share one.

    A key/value head that several heads share is no node of its own. Of an encoder–decoder the encoder's parts
    stand before the decoder's.
    """

    name: str
    label: str
    rank: int


@dataclass(frozen=True)
class Edge:
    """From sender to receiver by name; ``letter`` q, k or v for an input of a head, else empty."""

    sender: str
    receiver: str
    letter: str
    score: float


@dataclass(frozen=True)
class Drawing:
    """Nodes by rank, edges by |score|, largest first. ``of``: edges in the circuit, drawn or not;
    ``lines``: what they would all be drawn as, more where heads share a key."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    of: int
    lines: int

    @property
    def counted(self) -> str:
        """How many edges the circuit has, and whether all are drawn: said wherever it is."""
        edges = f"{self.of} edge{'s' * (self.of != 1)} in the circuit"
        shown = len(self.edges)
        if shown == self.lines:
            return f"{edges}, all drawn"
        return f"{edges}; {shown} of {self.lines} lines drawn, the strongest"

    @property
    def strongest(self) -> float:
        """The largest |score|, or 1 where there is none."""
        return max((abs(edge.score) for edge in self.edges), default=0.0) or 1.0

    def only(self, most: int) -> Drawing:
        """The ``most`` strongest edges, less those that then lie on no way from embedding to output."""
        kept = _connected(self.edges[:most])
        ends = {name for edge in kept for name in (edge.sender, edge.receiver)}
        return Drawing(tuple(n for n in self.nodes if n.name in ends), kept, self.of, self.lines)


def drawing_of(result: Result, *, size: int | None = None, most: int | None = None) -> Drawing:
    """The circuit of a ``circuit`` result; with ``size`` the one of that size in its series.

    Key and value inputs of a model with grouped queries are drawn at each head that shares them.
    Raises ``BadParameter`` for another analysis, ``BadResultFile`` for edges that cannot be read.
    """
    if "in_circuit" not in result.extra or tuple(a.name for a in result.axes) != ("edge",):
        raise BadParameter(
            f"{visible(result.analysis)} is no circuit.", "Draw the result of the analysis circuit."
        )
    chosen = (
        result.extra["in_circuit"].values == 1
        if size is None
        else result.extra["enters"].values.astype(np.float64) <= size
    )
    scores = result.values.astype(np.float64)
    shared = _heads_a_key(result)
    edges: list[Edge] = []
    for index in np.nonzero(chosen)[0]:
        edges += _edges(result.axes[0].labels[index], float(scores[index]), shared)
    edges.sort(key=lambda edge: -abs(edge.score))
    names = {name for edge in edges for name in (edge.sender, edge.receiver)}
    ranks = _ranks(names)
    nodes = tuple(sorted((_node(n, ranks) for n in names), key=lambda n: (n.rank, _place(n.name))))
    drawing = Drawing(nodes, tuple(edges), int(chosen.sum()), len(edges))
    return drawing if most is None else drawing.only(most)


def _edges(label: str, score: float, shared: int) -> Iterable[Edge]:
    match = _EDGE.fullmatch(label)
    if match is None:
        raise BadResultFile(f"{visible(label)!r} is no edge of a circuit.")
    sender, receiver, letter = match[1], match[2], match[3] or ""
    if letter in ("k", "v") and shared > 1:
        layer, _, head = receiver.partition(".")
        first = int(head) * shared
        return [Edge(sender, f"{layer}.{h}", letter, score) for h in range(first, first + shared)]
    return [Edge(sender, receiver, letter, score)]


def _heads_a_key(result: Result) -> int:
    """How many query heads read one key: from the inputs of layer 0 that have edges."""
    ends = [label.rpartition(">")[2] for label in result.axes[0].labels]
    queries = {end for end in ends if end.startswith("0.") and end.endswith(".q")}
    keys = {end for end in ends if end.startswith("0.") and end.endswith(".k")}
    return len(queries) // len(keys) if keys else 1


def _connected(edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    while True:
        fed = {"embed", "E.embed", "D.embed", *(edge.receiver for edge in edges)}
        heard = {"output", *(edge.sender for edge in edges)}
        kept = tuple(e for e in edges if e.sender in fed and e.receiver in heard)
        if len(kept) == len(edges):
            return kept
        edges = kept


def _node(name: str, ranks: dict[tuple[int, ...], int]) -> Node:
    label = name.rpartition(".")[2]
    shown = {"mlp": "MLP"}.get(label, f"H{label}" if label.isdigit() else label)
    return Node(name, shown, ranks[_order(name)])


def _ranks(names: Iterable[str]) -> dict[tuple[int, ...], int]:
    """The rank of each place, in order: the embedding 0, of layer ``i`` 2i + 1 and 2i + 2, then the output.

    In an encoder–decoder they are counted through both stacks.
    """
    places = sorted({_order(name) for name in names})
    if any(place[0] for place in places[:-1]):
        return {place: rank for rank, place in enumerate(places)}
    last = max((place[1] for place in places if not place[0]), default=0)
    found = {place: 0 if place[1] < 0 else 2 * place[1] + 1 + place[2] // 2 for place in places}
    return found | {_OUTPUT: 2 * max(last, 0) + 3}


_OUTPUT = (2, 0, 0)


def _order(name: str) -> tuple[int, ...]:
    """Where a part stands: its stack, its layer, and its place in that."""
    if name == "output":
        return _OUTPUT
    layer, _, part = name.rpartition(".")
    group, number = layer[:1], layer.lstrip("EDX")
    place = 2 * (part == "mlp") + (group == "X" and part != "mlp")
    return int(group in ("D", "X")), int(number) if number else -1, place


def _place(name: str) -> int:
    part = name.rpartition(".")[2]
    return int(part) if part.isdigit() else 0
