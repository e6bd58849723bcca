"""Means with error bars, the exact ends under the pointer."""

from __future__ import annotations

from typing import Any

from interpboard.results import Result
from interpboard.visualization.colors import LIGHT
from interpboard.visualization.figures.canvas import meaning_of, title_of
from interpboard.visualization.interactive import canvas
from interpboard.visualization.intervals import entry_words, required_intervals

_MOST = 20
_ROW, _AROUND = 20, 60  # pixels


def forest(
    result: Result, *, forest: bool = True, most: int = _MOST, title: str | None = None
) -> Any:
    """What ``figures.forest`` draws; ``forest`` is what chose it. Raises ``BadParameter`` as that does."""
    chosen = required_intervals(result, most)
    values = [own.entry.value for own in chosen]
    drawn = canvas.plotly().Scatter(
        x=values,
        y=list(range(len(chosen))),
        mode="markers",
        error_x={
            "array": [own.high - own.entry.value for own in chosen],
            "arrayminus": [own.entry.value - own.low for own in chosen],
            "symmetric": False,
        },
        marker={
            "color": [LIGHT[1] if value < result.neutral else LIGHT[-2] for value in values],
            "symbol": ["circle" if own.sure else "circle-open" for own in chosen],
        },
        customdata=[[own.low, own.high] for own in chosen],
        hovertemplate="%{x:.6~g} [%{customdata[0]:.6~g}, %{customdata[1]:.6~g}]<extra></extra>",
        showlegend=False,
    )
    figure = canvas.new_figure(title or title_of(result), meaning_of(result), drawn)
    names = [canvas.plotly_text(entry_words(own.entry)) for own in chosen]
    figure.update_yaxes(
        autorange="reversed", tickmode="array", tickvals=list(range(len(names))), ticktext=names
    )
    figure.add_vline(x=result.neutral, line_width=1)
    figure.update_layout(height=_ROW * len(names) + figure.layout.margin.t + _AROUND)
    return figure
