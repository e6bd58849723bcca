"""The figure that suits a result: what ``result.plot()`` draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.results import Document, Result
from interpboard.visualization.circuit_page import is_circuit
from interpboard.visualization.figures.attention_pattern import attention_pattern
from interpboard.visualization.figures.bars import bars
from interpboard.visualization.figures.causal_trace import causal_trace
from interpboard.visualization.figures.circuit import circuit
from interpboard.visualization.figures.grid import grid
from interpboard.visualization.figures.head_grid import head_grid
from interpboard.visualization.figures.lens import lens
from interpboard.visualization.figures.token_heatmap import token_heatmap

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure_of(item: Result | Document, **options: Any) -> Any:
    """The figure of a result by its axes; of a document a list, one for each result.

    ``options`` go to the figure (``title``, ``columns``; ``layer`` and ``head`` for attention, ``of``
    for scores of heads). Raises ``BadParameter`` where the result is not drawn as it is.
    """
    if isinstance(item, Document):
        return [figure_of(result, **options) for result in item.results]
    return _result(item, options)


def _result(result: Result, options: dict[str, Any]) -> Figure:
    names = tuple(axis.name for axis in result.axes)
    if is_circuit(result):
        return circuit(result, **options)
    if names == ("token",):
        return token_heatmap(result, **options)
    if names == ("layer", "head") or names[1:] == ("layer", "head"):
        return head_grid(result, **options)
    if names == ("layer", "head", "query", "key"):
        if not {"layer", "head"} <= set(options):
            raise BadParameter("Attention has a pattern a head.", "Give layer and head.")
        return attention_pattern(result, **options)
    if "top_tokens" in result.extra:
        return lens(result, **options)
    if names == ("layer", "token") and "subject" in result.params:
        return causal_trace(result, **options)
    if len(names) == 1:
        return bars(result, **options)
    if len(names) == 2:
        return grid(result, **options)
    raise BadParameter(
        f"{visible(result.analysis)} over {', '.join(map(visible, names))} is not drawn whole.",
        "Choose a slice.",
    )
