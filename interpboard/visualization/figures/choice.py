"""The figure that suits a result: what ``result.plot()`` and ``result.plot_interactive()`` draw."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.results import Document, Result
from interpboard.visualization.blocks import Look
from interpboard.visualization.circuit_page import is_circuit
from interpboard.visualization.figures.attention_pattern import attention_pattern
from interpboard.visualization.figures.bars import bars
from interpboard.visualization.figures.causal_trace import causal_trace
from interpboard.visualization.figures.circuit import circuit
from interpboard.visualization.figures.grid import grid
from interpboard.visualization.figures.head_grid import head_grid
from interpboard.visualization.figures.lens import lens
from interpboard.visualization.figures.strongest import strongest
from interpboard.visualization.figures.token_heatmap import token_heatmap
from interpboard.visualization.selections import selections

Kit = Mapping[str, Callable[..., Any]]

PRINTED: Kit = {
    "attention_pattern": attention_pattern,
    "bars": bars,
    "causal_trace": causal_trace,
    "circuit": circuit,
    "grid": grid,
    "head_grid": head_grid,
    "lens": lens,
    "strongest": strongest,
    "token_heatmap": token_heatmap,
}


def figure_of(item: Result | Document, **options: Any) -> Any:
    """The matplotlib figure of a result by its axes; of a document a list, one for each result.

    ``options`` go to the figure: ``title``, ``columns``; ``layer`` and ``head`` for one pattern of
    attention, ``of`` for scores of heads, ``most`` for edges of a circuit and for bars. What is too
    large to be drawn whole is drawn by its strongest entries. Raises ``BadParameter`` for values
    that are text, and for an option that no figure takes.
    """
    return draw(PRINTED, item, options)


def draw(kit: Kit, item: Result | Document, options: Mapping[str, Any]) -> Any:
    """The figure of ``kit`` that suits; an option goes to those results whose figure takes it."""
    results = item.results if isinstance(item, Document) else (item,)
    chosen = [kit[suiting(result, options)] for result in results]
    known = [set(inspect.signature(function).parameters) for function in chosen]
    for name in options:
        if not any(name in own for own in known):
            takes = sorted(set().union(*known) - {"result", "results"})
            raise BadParameter(f"No figure here takes {name!r}.", f"Options: {', '.join(takes)}.")
    drawn = [
        function(result, **{name: value for name, value in options.items() if name in own})
        for function, result, own in zip(chosen, results, known, strict=True)
    ]
    return drawn if isinstance(item, Document) else drawn[0]


def suiting(result: Result, options: Mapping[str, Any]) -> str:
    """The name of the figure that suits ``result``, drawn with ``options``."""
    names = tuple(axis.name for axis in result.axes)
    if names == ("layer", "head", "query", "key") and {"layer", "head"} <= set(options):
        return "attention_pattern"
    if is_circuit(result):
        return "circuit"
    if names == ("token",):
        return "token_heatmap"
    if names == ("layer", "head") or "of" in options:
        return "head_grid"
    if "top_tokens" in result.extra and len(names) == 2:
        return "lens"
    if names == ("layer", "token") and "subject" in result.params:
        return "causal_trace"
    if result.values.dtype != object and selections(result, Look(100)):
        return "strongest"
    if len(names) in (1, 2):
        return "bars" if len(names) == 1 else "grid"
    raise BadParameter(
        f"{visible(result.analysis)} is a single number.", "There is no figure of it."
    )
