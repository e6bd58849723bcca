"""Results of one axis as bars, and the strongest entries of those that no grid holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from interpboard.errors import BadParameter
from interpboard.results import Result
from interpboard.results.intervals import unsure_entries
from interpboard.visualization.colors import LIGHT
from interpboard.visualization.figures.bars import bar_labels
from interpboard.visualization.figures.canvas import meaning_of, title_of, with_hatching
from interpboard.visualization.figures.strongest import ranked_lists
from interpboard.visualization.interactive import canvas

_ROW, _GAP, _BELOW = 20, 34, 60  # pixels of a bar, of the numbers of an axis, and below the last
_HOVER = "%{customdata[0]}: %{customdata[1]:.6~g}<extra></extra>"


def bars(result: Result, *, title: str | None = None) -> Any:
    """Every entry, in the order of the axis. Raises ``BadParameter`` for other shapes."""
    if result.values.ndim != 1 or result.values.dtype == object:
        raise BadParameter("Bars draw numbers over one axis.", "Choose a slice.")
    drawn = _bars(
        list(map(canvas.plotly_token, bar_labels(result))),
        result.values.astype(np.float64),
        result.neutral,
    )
    unsure = unsure_entries(result)
    if unsure.any():
        drawn.marker.pattern.shape = ["/" if mark else "" for mark in unsure]
    said = with_hatching(meaning_of(result), result, unsure)
    figure = canvas.new_figure(title or title_of(result), said, drawn)
    _lay_out(figure, [drawn], _ROW * len(drawn.y))
    figure.update_yaxes(title=canvas.plotly_text(result.axes[0].name))
    return figure


def strongest(result: Result, *, title: str | None = None) -> Any:
    """The lists of ``figures.strongest``, one below the other."""
    parts = ranked_lists(result)
    from plotly.subplots import make_subplots

    names = [
        [*canvas.wrapped(part.title), *(f"<sub>{line}</sub>" for line in canvas.wrapped(part.note))]
        for part in parts
    ]
    above = max(map(len, names))
    rows = [len(part.rows) for part in parts]
    whole = _ROW * sum(rows) + (_GAP + _ROW * above) * (len(parts) - 1)
    figure = make_subplots(
        len(parts), 1, row_heights=rows, subplot_titles=["<br>".join(lines) for lines in names],
        vertical_spacing=(_GAP + _ROW * above) / whole,
    )  # fmt: skip
    drawn = []
    for i, part in enumerate(parts):
        labels = [canvas.plotly_text(name) for name, _ in part.rows]
        drawn.append(_bars(labels, np.array([value for _, value in part.rows]), part.neutral))
        figure.add_trace(drawn[-1], i + 1, 1)
        if not part.signed:
            figure.update_xaxes(range=[0, 1], row=i + 1, col=1)
    canvas.put_title(figure, title or title_of(result), meaning_of(result), panels=above)
    _lay_out(figure, drawn, whole)
    return figure


def _bars(names: Sequence[str], values: np.ndarray, neutral: float) -> Any:
    """Bars from the neutral value on."""
    return canvas.plotly().Bar(
        x=values - neutral,
        base=neutral,
        y=list(range(len(values))),
        customdata=list(zip(names, values.tolist(), strict=True)),
        orientation="h",
        marker={"color": [LIGHT[1] if value < neutral else LIGHT[-2] for value in values]},
        hovertemplate=_HOVER,
        showlegend=False,
    )


def _lay_out(figure: Any, drawn: Sequence[Any], high: int) -> None:
    """Names at the bars, the first on top; ``high``: pixels of what the axes span."""
    for i, trace in enumerate(drawn):
        figure.update_yaxes(
            autorange="reversed", tickmode="array", tickvals=trace.y,
            ticktext=[name for name, _ in trace.customdata], selector=i,
        )  # fmt: skip
    figure.update_layout(height=high + figure.layout.margin.t + _BELOW, margin_b=_BELOW)
