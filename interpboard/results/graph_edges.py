"""How many edges the graph of a circuit has: of a large one a result lists only the strongest."""

from __future__ import annotations

from interpboard.results.result import Result

ALL_EDGES = "all_edges"
"""The extra that a result has where it does not list them all."""


def count_of_edges(result: Result) -> int:
    """Listed or not."""
    counted = result.extra.get(ALL_EDGES)
    return int(result.values.size if counted is None else counted.values)
