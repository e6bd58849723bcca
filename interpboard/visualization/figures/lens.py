"""The lens: what the model would say after each layer, at each position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interpboard.display import visible, visible_token
from interpboard.errors import BadParameter
from interpboard.results import LabelledArray, Result
from interpboard.results.sites import with_sites
from interpboard.visualization.colors import text_on
from interpboard.visualization.figures import canvas
from interpboard.visualization.figures.grid import label_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CHARS_AN_INCH = 24  # of a token in a cell, at 5 points


def lens(result: Result, *, columns: int = 2, title: str | None = None) -> Figure:
    """[layer, token]: each cell the likeliest token, painted by the target's probability.

    Tokens are written where the cell holds at least three characters. Raises ``BadParameter`` for a
    result without ``top_tokens``.
    """
    result = with_sites(result)
    top = top_of(result)
    rows, across = result.axes
    scale = canvas.numeric_scale_of(result, result.values)
    with canvas.style():
        height = min(9.0, 1.9 + 0.17 * len(rows.labels))
        figure = canvas.new_figure(columns, height)
        mpl, axes = canvas.matplotlib(), figure.add_subplot()
        drawn = canvas.heat(axes, result.values, scale, first_on_top=False)
        shades, norm = canvas.colors_of(scale)
        room = int((canvas.WIDTHS[columns] - 0.7) / len(across.labels) * _CHARS_AN_INCH)
        for i, j in np.ndindex(*result.values.shape) if room >= 3 else ():
            token = visible_token(str(top.values[i, j, 0]))
            token = token if len(token) <= room else token[: room - 1] + "…"
            value = float(result.values[i, j])
            behind = "#ffffff" if np.isnan(value) else mpl.colors.to_hex(shades(norm(value)))
            axes.text(
                j + 0.5, i + 0.5, token, ha="center", va="center", fontsize=5,
                color=text_on(behind), parse_math=False,
            )  # fmt: skip
        label_axes(axes, rows, across, columns, height)
        canvas.put_title(figure, title or canvas.title_of(result), columns)
        canvas.color_bar(figure, drawn, axes, canvas.meaning_of(result), columns)
    return figure


def top_of(result: Result) -> LabelledArray:
    """The likeliest tokens [layer, token, rank]. Raises ``BadParameter`` as ``lens`` does."""
    top = result.extra.get("top_tokens")
    if result.values.ndim != 2 or top is None or top.axes[:-1] != result.axes:
        raise BadParameter(f"{visible(result.analysis)} is no lens: it holds no top tokens.", "")
    return top
