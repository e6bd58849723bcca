"""Figures for print (matplotlib, the ``plots`` extra): vector PDF and SVG, sized by columns.

Each function takes a result and returns a matplotlib figure with ``savefig``; fonts are embedded as
TrueType in PDF and drawn as shapes in SVG. Titles, labels and the meaning of the sign follow from the
result and the registry. ``result.plot()`` chooses.
"""

from interpboard.visualization.figures.activation_flow import activation_flow
from interpboard.visualization.figures.attention_pattern import attention_pattern
from interpboard.visualization.figures.bars import bars
from interpboard.visualization.figures.causal_trace import causal_trace
from interpboard.visualization.figures.choice import figure_of
from interpboard.visualization.figures.circuit import circuit
from interpboard.visualization.figures.comparison import comparison
from interpboard.visualization.figures.forest import forest
from interpboard.visualization.figures.grid import grid
from interpboard.visualization.figures.head_grid import head_grid
from interpboard.visualization.figures.lens import lens
from interpboard.visualization.figures.lines import lines
from interpboard.visualization.figures.strongest import strongest
from interpboard.visualization.figures.token_heatmap import token_heatmap

__all__ = [
    "activation_flow", "attention_pattern", "bars", "causal_trace", "circuit", "comparison",
    "figure_of", "forest", "grid", "head_grid", "lens", "lines", "strongest", "token_heatmap",
]  # fmt: skip
