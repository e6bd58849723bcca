"""The figure that suits a result: what ``result.plot()`` and ``result.plot_interactive()`` draw."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.results import Document, Result
from interpboard.visualization.blocks import PageStyle
from interpboard.visualization.figures.attention_pattern import attention_pattern
from interpboard.visualization.figures.bars import bars
from interpboard.visualization.figures.causal_trace import causal_trace
from interpboard.visualization.figures.circuit import circuit
from interpboard.visualization.figures.forest import forest
from interpboard.visualization.figures.grid import grid
from interpboard.visualization.figures.head_grid import head_grid
from interpboard.visualization.figures.lens import lens
from interpboard.visualization.figures.lines import lines
from interpboard.visualization.figures.strongest import strongest
from interpboard.visualization.figures.token_heatmap import token_heatmap
from interpboard.visualization.selections import selections
from interpboard.visualization.suiting import View, view_of

Kit = Mapping[str, Callable[..., Any]]


def kit_of(*drawings: Callable[..., Any]) -> Kit:
    """Drawings by their names, which are the same for print and for the mouse."""
    return {drawing.__name__: drawing for drawing in drawings}


PRINTED = kit_of(
    attention_pattern, bars, causal_trace, circuit, forest, grid, head_grid, lens, lines, strongest,
    token_heatmap,
)  # fmt: skip

FIGURES: Mapping[View, str] = {
    "bars": "bars",
    "circuit": "circuit",
    "grid": "grid",
    "heads": "head_grid",
    "lens": "lens",
    "strip": "token_heatmap",
    "trace": "causal_trace",
}


def figure_of(item: Result | Document, **options: Any) -> Any:
    """The matplotlib figure of a result by its axes; of a document a list, one for each result.

    ``options`` go to the figure: ``title``, ``columns``; ``layer`` and ``head`` for one pattern of
    attention, ``lines=True`` and ``position`` for lines from layer to layer, along the prompt or by size
    (see ``visualization.curves``), ``forest=True`` for means with error bars, ``of`` for scores of heads,
    ``most`` for edges of a circuit, for bars and
    lines. What is too large to be drawn whole is drawn by its strongest entries. Raises ``BadParameter``
    for values that are text, and for an option that no figure takes.
    """
    return draw(PRINTED, item, options)


def draw(kit: Kit, item: Result | Document, options: Mapping[str, Any]) -> Any:
    """The figure of ``kit`` that suits; an option goes to those results whose figure takes it."""
    results = item.results if isinstance(item, Document) else (item,)
    chosen = [kit[figure_for(result, options)] for result in results]
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


def figure_for(result: Result, options: Mapping[str, Any]) -> str:
    """The name of the figure that suits ``result``, drawn with ``options``."""
    view = view_of(result)
    if options.get("lines"):
        return "lines"
    if options.get("forest"):
        return "forest"
    names = tuple(axis.name for axis in result.axes)
    if names == ("layer", "head", "query", "key") and {"layer", "head"} <= set(options):
        return "attention_pattern"
    if "of" in options and view not in ("circuit", "strip"):
        return "head_grid"
    can_be_large = view in ("bars", "grid", "many") and result.values.dtype != object
    if can_be_large and selections(result, PageStyle(100)):
        return "strongest"
    if view not in FIGURES:
        words = "a single number" if view == "number" else "text over more than two axes"
        raise BadParameter(f"{visible(result.analysis)} is {words}.", "There is no figure of it.")
    return FIGURES[view]
