"""Before and after: two results of one analysis, and their difference, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from interpboard.results import Axis, Result
from interpboard.visualization.figures.canvas import meaning_of, title_of
from interpboard.visualization.figures.comparison import panels
from interpboard.visualization.interactive import canvas


def comparison(
    before: Result,
    after: Result,
    *,
    names: tuple[str, str] = ("before", "after"),
    title: str | None = None,
) -> Any:
    """``before`` and ``after`` on one scale, after − before on its own; errors as in
    ``figures.comparison``."""
    parts = panels(before, after, names)
    canvas.plotly()  # says what to install where there is none
    from plotly.subplots import make_subplots

    figure = make_subplots(1, 3, subplot_titles=[canvas.plotly_text(name) for name, *_ in parts])
    for i, (_, result, values, scale) in enumerate(parts):
        rows = result.axes[0] if values.ndim == 2 else Axis("", ("",))
        across = result.axes[-1]
        drawn = canvas.heatmap_cells(np.atleast_2d(values), scale, rows, across, showscale=i > 0)
        if i:  # one legend of the two, and one of the change
            drawn.update(colorbar={"x": 0.64 if i == 1 else 1.0, "thickness": 12})
        figure.add_trace(drawn, 1, i + 1)
        title_x = canvas.plotly_text(across.name)
        figure.update_xaxes(title=title_x, **canvas.ticks(across), row=1, col=i + 1)
        upwards = "reversed" if rows.name != "layer" else True
        figure.update_yaxes(autorange=upwards, **canvas.ticks(rows), row=1, col=i + 1)
    figure.update_yaxes(
        title=canvas.plotly_text(before.axes[0].name) if before.values.ndim == 2 else "", col=1
    )
    canvas.put_title(figure, title or title_of(before), meaning_of(before), panels=1)
    return figure
