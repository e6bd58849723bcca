"""A circuit: its nodes from the embedding (bottom) to the output, its edges by score."""

from __future__ import annotations

from typing import Any

from interpboard.results import Result
from interpboard.visualization.colors import LIGHT
from interpboard.visualization.diagrams import drawing_of
from interpboard.visualization.diagrams.text import fill_of, long_label, width
from interpboard.visualization.figures.canvas import title_of
from interpboard.visualization.figures.circuit import caption, node_positions
from interpboard.visualization.interactive import canvas

_ROW, _ROOM = 60, 200  # pixels of a rank, and of what stands around them


def circuit(result: Result, *, most: int = 60, title: str | None = None) -> Any:
    """At most ``most`` edges, the strongest; what is left out is said below the title. A hover on the
    middle of an edge has its score. Raises ``BadParameter`` for a result that is no circuit."""
    drawing = drawing_of(result, most=most)
    at = node_positions(drawing)
    objects = canvas.plotly()
    drawn, middles, scores = [], [], []
    for edge in reversed(drawing.edges):
        (x0, y0), (x1, y1) = at[edge.sender], at[edge.receiver]
        color = LIGHT[0] if edge.score < 0 else LIGHT[-2]
        lean = {"q": -0.02, "v": 0.02}.get(edge.letter, 0.0)  # parallel edges stay apart
        middle = ((x0 + x1) / 2 + lean, (y0 + y1) / 2)
        drawn.append(
            objects.Scatter(
                x=[x0, middle[0], x1], y=[y0, middle[1], y1], mode="lines", hoverinfo="skip",
                line={"color": color, "width": width(drawing, edge), "shape": "spline"},
            )
        )  # fmt: skip
        letter = f" {edge.letter}" if edge.letter else ""
        middles.append(middle)
        scores.append(
            f"{long_label(edge.sender)} → {long_label(edge.receiver)}{letter}: {edge.score:+.6g}"
        )
    drawn.append(
        objects.Scatter(
            x=[x for x, _ in middles], y=[y for _, y in middles], mode="markers", name="edges",
            customdata=list(map(canvas.plotly_text, scores)), marker={"size": 10, "opacity": 0},
            hovertemplate="%{customdata}<extra></extra>",
        )
    )  # fmt: skip
    figure = canvas.new_figure(title or title_of(result), caption(result, drawing), *drawn)
    for node in drawing.nodes:
        x, y = at[node.name]
        figure.add_annotation(
            x=x, y=y, text=canvas.plotly_text(long_label(node.name)), showarrow=False,
            bgcolor=fill_of(node.name), bordercolor="#444444", borderpad=3,
        )  # fmt: skip
    ranks = len({node.rank for node in drawing.nodes})
    figure.update_layout(showlegend=False, height=_ROOM + _ROW * ranks)
    figure.update_xaxes(visible=False, range=[0, 1])
    figure.update_yaxes(visible=False)
    return figure
