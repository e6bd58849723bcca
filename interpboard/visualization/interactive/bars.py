"""Results of one axis as bars, and the strongest entries of those that no grid holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from interpboard.errors import BadParameter
from interpboard.results import Result
from interpboard.visualization.colors import LIGHT
from interpboard.visualization.figures.bars import names_of
from interpboard.visualization.figures.canvas import meaning_of, title_of
from interpboard.visualization.figures.strongest import strongest_of
from interpboard.visualization.interactive import canvas

_ROW, _ROOM = 20, 180  # pixels of a bar, and of what stands around them
_HOVER = "%{customdata}: %{x:.6g}<extra></extra>"


def bars(result: Result, *, title: str | None = None) -> Any:
    """Every entry, in the order of the axis. Raises ``BadParameter`` for other shapes."""
    if result.values.ndim != 1 or result.values.dtype == object:
        raise BadParameter("Bars draw numbers over one axis.", "Choose a slice.")
    drawn = _bars(list(map(canvas.token, names_of(result))), result.values.astype(np.float64))
    figure = canvas.new_figure(title or title_of(result), meaning_of(result), drawn)
    _lay_out(figure, [drawn])
    figure.update_yaxes(title=canvas.text(result.axes[0].name))
    return figure


def strongest(result: Result, *, title: str | None = None) -> Any:
    """The lists of ``figures.strongest``, one below the other."""
    parts = strongest_of(result)
    from plotly.subplots import make_subplots

    rows = [len(part.rows) for part in parts]
    figure = make_subplots(
        len(parts), 1, row_heights=rows, vertical_spacing=min(0.08, 0.6 / len(parts)),
        subplot_titles=[canvas.text(" · ".join(filter(None, (part.title, part.note)))) for part in parts],
    )  # fmt: skip
    drawn = []
    for i, part in enumerate(parts):
        names = [canvas.text(name) for name, _ in part.rows]
        drawn.append(_bars(names, np.array([value for _, value in part.rows])))
        figure.add_trace(drawn[-1], i + 1, 1)
        if not part.signed:
            figure.update_xaxes(range=[0, 1], row=i + 1, col=1)
    canvas.put_title(figure, title or title_of(result), meaning_of(result))
    _lay_out(figure, drawn)
    return figure


def _bars(names: Sequence[str], values: np.ndarray) -> Any:
    return canvas.plotly().Bar(
        x=values,
        y=list(range(len(values))),
        customdata=names,
        orientation="h",
        marker={"color": [LIGHT[1] if value < 0 else LIGHT[-2] for value in values]},
        hovertemplate=_HOVER,
        showlegend=False,
    )


def _lay_out(figure: Any, drawn: Sequence[Any]) -> None:
    """Names at the bars, the first on top, and a height that gives each its room."""
    for i, trace in enumerate(drawn):
        figure.update_yaxes(
            autorange="reversed", tickmode="array", tickvals=trace.y, ticktext=trace.customdata,
            selector=i,
        )  # fmt: skip
    figure.update_layout(height=_ROOM + sum(_ROW * (len(trace.y) + 2) for trace in drawn))
