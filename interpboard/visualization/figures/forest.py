"""Means with error bars: the strongest entries of a result, a line each, over their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interpboard.results import Result
from interpboard.visualization.colors import LIGHT
from interpboard.visualization.figures import canvas
from interpboard.visualization.intervals import entry_words, required_intervals

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 20


def forest(
    result: Result,
    *,
    forest: bool = True,
    most: int = _MOST,
    columns: int = 1,
    title: str | None = None,
) -> Figure:
    """At most ``most`` entries with their intervals, the furthest from the neutral value on top; those whose
    interval has it inside are hollow. ``forest`` is what chose this figure.

    Raises ``BadParameter`` for a result without intervals.
    """
    chosen = required_intervals(result, most)
    values = np.array([own.entry.value for own in chosen])
    low, high = (np.array([getattr(own, name) for own in chosen]) for name in ("low", "high"))
    with canvas.style():
        figure = canvas.new_figure(columns, 1.0 + 0.15 * len(chosen))
        axes = figure.add_subplot()
        at = np.arange(len(chosen)) + 0.5
        # An interval made by drawing rows need not have the mean inside.
        axes.hlines(at, low, high, color="black", linewidth=0.8)
        for sure, face in ((True, None), (False, "white")):
            own = np.array([each.sure is sure for each in chosen])
            colors = [LIGHT[1] if value < result.neutral else LIGHT[-2] for value in values[own]]
            axes.scatter(
                values[own], at[own], s=12, zorder=3, linewidths=0.8,
                edgecolors="black" if face else colors, facecolors=face or colors,
            )  # fmt: skip
        axes.axvline(result.neutral, color="black", linewidth=0.6)
        axes.set_ylim(len(chosen), 0)
        names = [entry_words(own.entry) for own in chosen]
        canvas.put_labels(axes, "y", canvas.shown_labels(names, tokens=False), len(names))
        text = canvas.meaning_of(result)
        if len(chosen) < result.values.size:
            text += f" ({len(chosen)} of {result.values.size} shown, the furthest from {result.neutral:g})"
        canvas.put_meaning(figure, text, columns)
        canvas.put_title(figure, title or canvas.title_of(result), columns)
    return figure
