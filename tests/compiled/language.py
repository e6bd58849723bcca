"""What a compiled model is stated in: subspaces of the stream, heads and MLPs that read and write them.

A *subspace* is a block of coordinates that nothing else uses. The embedding writes ``token`` (one
coordinate a letter; the first token ``<s>`` has none), ``position`` (one a position) and ``one`` (1
everywhere); the unembedding reads ``answer`` (one coordinate a letter). A program names those between.

A head is stated by what its score compares (``PageStyle``) and by what it moves from the key's position to
its own (``Move``). The score of a query for a key is the sum over its looks of

    weight · Σ_ij query[i] · map[i, j] · key[j]

in units so large that the softmax is 1 at the best key and 0 at all others: to rounding, exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

LETTERS = "abcdefghijkl"
TOKENS = LETTERS + ":+-?"  # ``token`` and ``answer`` have a coordinate for each, in this order
BEGIN = "<s>"  # in front of every text: where heads rest that find nothing

Map = Callable[[int, int], np.ndarray]  # a matrix [from, to] for two subspaces of given sizes


def same(rows: int, columns: int) -> np.ndarray:
    """Each coordinate to its like."""
    return np.eye(rows, columns)


def one_back(rows: int, columns: int) -> np.ndarray:
    """A position to the one before it."""
    return np.eye(rows, columns, k=-1)


def first(rows: int, columns: int) -> np.ndarray:
    """Everything to the first coordinate."""
    return np.eye(1, columns).repeat(rows, axis=0)


def of_tokens(tokens: str) -> Map:
    """From those tokens to every coordinate."""

    def from_them(rows: int, columns: int) -> np.ndarray:
        chosen = np.zeros((rows, columns))
        chosen[[TOKENS.index(token) for token in tokens]] = 1
        return chosen

    return from_them


def to_tokens(tokens: str) -> Map:
    """From everything to those tokens."""
    return lambda rows, columns: of_tokens(tokens)(columns, rows).T


@dataclass(frozen=True)
class Look:
    """One term of a head's score: what of the query is compared with what of the key."""

    query: str
    key: str
    map: Map = same
    weight: float = 1.0


@dataclass(frozen=True)
class Move:
    """What a head takes from the key's position, and the subspace it adds it to."""

    source: str
    target: str
    map: Map = same


NOWHERE = ""  # the target of a head that takes and writes nothing

# Half a match for the first position: a head that finds nothing looks there, and takes nothing.
REST = Look("one", "position", first, 0.5)


@dataclass(frozen=True)
class Head:
    """A head: no looks at all is uniform attention."""

    looks: tuple[Look, ...]
    moves: Move | None


@dataclass(frozen=True)
class Step:
    """An MLP that says ``yes`` where a coordinate is above ``at``, and ``no`` where it is below.

    Two neurons a ``width`` apart make a ramp from 0 to 1 around ``at``. Both run at a slope at which
    GELU is 0 or the identity to rounding, for all values that are not on the ramp: ``slope`` times their
    distance from it is 8 or more.
    """

    source: str
    at: float
    width: float
    slope: float
    yes: str
    no: str


@dataclass(frozen=True)
class Program:
    """A model: ``heads`` by name (``layer.head``), ``mlps`` by layer. All other heads are dead."""

    name: str
    n_layers: int
    n_heads: int
    spaces: dict[str, int]  # between embedding and answer
    heads: dict[str, Head]
    mlps: dict[int, Step] = field(default_factory=dict)
    n_positions: int = 32
