"""Figures that answer to the mouse (plotly, the ``plots`` extra): a hover shows the exact value.

Each function takes what its namesake of ``visualization.figures`` takes, draws the same values on the
same scale, and returns a plotly figure. ``write_html(path)`` makes one file that needs no network.
"""

from interpboard.visualization.interactive.activation_flow import activation_flow
from interpboard.visualization.interactive.bars import bars, strongest
from interpboard.visualization.interactive.choice import figure_of
from interpboard.visualization.interactive.circuit import circuit
from interpboard.visualization.interactive.comparison import comparison
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

__all__ = [
    "activation_flow", "attention_pattern", "bars", "causal_trace", "circuit", "comparison",
    "figure_of", "forest", "grid", "head_grid", "lens", "lines", "strongest", "token_heatmap",
]  # fmt: skip
