"""The lines of ``figures.lines``, with the exact value of each point under the mouse."""

from __future__ import annotations

from typing import Any

import numpy as np

from interpboard.results import Result
from interpboard.visualization.curves import MOST_CURVES, curves_of
from interpboard.visualization.figures.lines import LINE_COLORS
from interpboard.visualization.interactive import canvas

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def lines(
    result: Result,
    *,
    lines: bool = True,
    position: int | None = None,
    most: int = MOST_CURVES,
    title: str | None = None,
) -> Any:
    """Parameters and errors as in ``figures.lines``."""
    curves = curves_of(result, position=position, most=most)
    labels = [canvas.plotly_text(label) for label in curves.labels]
    traces = [
        canvas.plotly().Scatter(
            x=curves.x,
            y=line.values,
            customdata=labels,
            name=canvas.plotly_text(line.name),
            mode="lines+markers",
            connectgaps=False,
            line={"color": LINE_COLORS[i % len(LINE_COLORS)], "dash": _DASHES[i % len(_DASHES)]},
            hovertemplate=f"{canvas.plotly_text(line.name)}, %{{customdata}}: %{{y:.6~g}}<extra></extra>",
        )
        for i, line in enumerate(curves.lines)
    ]
    meaning = "; ".join(filter(None, (curves.up, curves.note)))
    figure = canvas.new_figure(title or curves.title, meaning, *traces)
    figure.add_hline(y=curves.neutral, line_width=1)
    figure.update_xaxes(
        title=curves.across, tickmode="array", tickvals=np.asarray(curves.x), ticktext=labels
    )
    return figure
