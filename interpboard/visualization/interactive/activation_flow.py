"""How the answer builds up from layer to layer."""

from __future__ import annotations

from typing import Any

from interpboard.results import Result
from interpboard.visualization.colors import LIGHT
from interpboard.visualization.figures.activation_flow import flow_of
from interpboard.visualization.figures.canvas import meaning_of, title_of
from interpboard.visualization.interactive import canvas


def activation_flow(result: Result, *, title: str | None = None) -> Any:
    """What each layer adds, and the sum so far; results and errors as in ``figures.activation_flow``."""
    flow = flow_of(result)
    objects = canvas.plotly()
    places = list(range(len(flow.labels)))
    drawn = [
        objects.Bar(
            x=places[flow.first :], y=values, name=canvas.plotly_text(name),
            marker={"color": LIGHT[(1, -2)[i]]},
        )
        for i, (name, values) in enumerate(flow.bars)
    ]  # fmt: skip
    drawn.append(
        objects.Scatter(
            x=places, y=flow.line, name=canvas.plotly_text(flow.name), mode="lines+markers",
            line={"color": "black" if flow.bars else LIGHT[-1]},
        )
    )  # fmt: skip
    figure = canvas.new_figure(title or title_of(result), meaning_of(result), *drawn)
    labels = [canvas.plotly_text(label) for label in flow.labels]
    figure.update_xaxes(title="layer", tickmode="array", tickvals=places, ticktext=labels)
    figure.update_layout(showlegend=True, barmode="group")
    return figure
