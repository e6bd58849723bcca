"""What circuits of a series of sizes are worth, measured one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from interpboard.circuits.discovery.edge_evaluator import EdgeEvaluator
from interpboard.circuits.discovery.faithfulness import Measured, measure_edges
from interpboard.runs.rehearsal import Loop
from interpboard.runs.watch import Watch


def rehearsed_loops(greedy: bool, passes: int, sizes: int) -> tuple[Loop | None, Loop | None]:
    """Of the gradients, and of the sizes: what a rehearsal takes few steps of. None of a greedy search, which
    does not know how many runs it will make."""
    if greedy:
        return None, None
    return Loop("gradients of edges", passes), Loop("circuits measured", sizes)


def measured_sizes(
    evaluator: EdgeEvaluator,
    asked: Sequence[int],
    series_of: Mapping[int, np.ndarray],
    loop: Loop | None,
    watch: Watch,
    told: Callable[[int], None],
) -> tuple[list[Measured], list[float]]:
    """Each circuit of ``series_of`` (edges by size), and the faithfulness at every size of ``asked``.

    A size that is not in the series is worth what the smaller one is. ``loop``: of which a rehearsal leaves
    sizes out; ``told(number)`` hears how many sizes are done. The watch is asked in every layer.
    """
    curve: list[Measured] = []
    at_sizes: list[float] = []
    for number, count in enumerate(asked):
        if count in series_of and (loop is None or loop.due(number, 1)):
            curve.append(measure_edges(evaluator, series_of[count], watch))
            if loop is not None:
                loop.took(number, 1)
        elif count in series_of and loop is not None:
            curve.append(curve[-1])
            loop.skip(number, 1, 1)
        at_sizes.append(curve[-1].faithfulness)
        told(number + 1)
    if loop is not None:
        loop.close()
    return curve, at_sizes
