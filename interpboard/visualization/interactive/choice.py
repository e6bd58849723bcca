"""The figure of plotly that suits a result: what ``result.plot_interactive()`` gives."""

from __future__ import annotations

from typing import Any

from interpboard.results import Document, Result
from interpboard.visualization.figures.choice import draw, kit_of
from interpboard.visualization.interactive.bars import bars, strongest
from interpboard.visualization.interactive.circuit import circuit
from interpboard.visualization.interactive.forest import forest
from interpboard.visualization.interactive.grids import (
    attention_pattern,
    causal_trace,
    grid,
    head_grid,
    lens,
)
from interpboard.visualization.interactive.lines import lines
from interpboard.visualization.interactive.token_heatmap import token_heatmap

MOVING = kit_of(
    attention_pattern, bars, causal_trace, circuit, forest, grid, head_grid, lens, lines, strongest,
    token_heatmap,
)  # fmt: skip


def figure_of(item: Result | Document, **options: Any) -> Any:
    """The plotly figure of a result by its axes; of a document a list, one for each result.

    Options and errors as in ``visualization.figures.figure_of``, without ``columns``.
    """
    return draw(MOVING, item, options)
