"""A result of one dimension as bars, from its neutral value on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.results import Result
from interpboard.results.intervals import unsure_entries
from interpboard.visualization.colors import LIGHT
from interpboard.visualization.figures import canvas
from interpboard.visualization.reading import distances

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 24


def bars(
    result: Result, *, most: int = _MOST, columns: int = 1, title: str | None = None
) -> Figure:
    """At most ``most`` entries; what is left out is said. Raises ``BadParameter`` for other shapes."""
    if result.values.ndim != 1 or result.values.dtype == object:
        raise BadParameter("Bars draw numbers over one axis.", "Choose a slice.")
    size = np.where(np.isnan(result.values), -np.inf, distances(result))
    kept = np.sort(np.argsort(-size, kind="stable")[:most])
    names = bar_labels(result)
    values = result.values[kept].astype(np.float64)
    with canvas.style():
        figure = canvas.new_figure(columns, 1.0 + 0.15 * len(kept))
        axes = figure.add_subplot()
        neutral = result.neutral
        colors = [LIGHT[1] if value < neutral else LIGHT[-2] for value in values]
        places = np.arange(len(kept)) + 0.5
        unsure = unsure_entries(result)[kept]
        drawn = axes.barh(places, values - neutral, left=neutral, color=colors, height=0.75)
        for bar, mark in zip(drawn, unsure, strict=True):
            if mark:
                bar.set(hatch=canvas.HATCH, edgecolor=canvas.HATCHED, linewidth=0)
        axes.axvline(neutral, color="black", linewidth=0.6)
        axes.invert_yaxis()
        shown = canvas.shown_labels([names[i] for i in kept], tokens=True)
        canvas.put_labels(axes, "y", shown, len(kept))
        text = canvas.with_hatching(canvas.meaning_of(result), result, unsure)
        if len(kept) < len(size):
            text += f" ({len(kept)} of {len(size)} shown, {largest_of(result)})"
        canvas.put_meaning(figure, text, columns)
        axes.set_ylabel(visible(result.axes[0].name), parse_math=False)
        canvas.put_title(figure, title or canvas.title_of(result), columns)
    return figure


def largest_of(result: Result) -> str:
    """Which entries are shown where not all are."""
    return "the largest" if result.neutral == 0 else f"the furthest from {result.neutral:g}"


def bar_labels(result: Result) -> list[str]:
    """The entries' names: tokens that a result names beside its ranks, else the axis's labels."""
    for array in result.extra.values():
        if array.axes == result.axes and array.values.dtype == object:
            return [str(value) for value in array.values]
    return list(result.axes[0].labels)
