"""The strongest entries of a result that no figure shows whole, as its pages list them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.results import Result
from interpboard.visualization.blocks import PageStyle
from interpboard.visualization.colors import LIGHT
from interpboard.visualization.figures import canvas
from interpboard.visualization.selections import RankedEntries, selections

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ROW, _CHAR = 0.14, 0.055  # inches
_LABEL_MOST = 40


def strongest(result: Result, *, columns: int = 1, title: str | None = None) -> Figure:
    """Bars: heads by type, where heads page, the largest of many neurons; what is left out is said.

    Raises ``BadParameter`` where all values can be shown.
    """
    parts = ranked_lists(result)
    rows = [len(part.rows) + 2 for part in parts]
    with canvas.style():
        figure = canvas.new_figure(columns, 0.9 + _ROW * sum(rows))
        grid = figure.add_gridspec(len(parts), height_ratios=rows)
        for i, part in enumerate(parts):
            _draw(figure.add_subplot(grid[i]), part, columns)
        canvas.put_title(figure, title or canvas.title_of(result), columns)
        canvas.put_meaning(figure, canvas.meaning_of(result), columns)
    return figure


def ranked_lists(result: Result) -> list[RankedEntries]:
    """The lists of entries that are drawn. Raises ``BadParameter`` as ``strongest`` does."""
    parts = selections(result, PageStyle(100)) if result.values.dtype != object else []
    if not parts:
        raise BadParameter(
            f"{visible(result.analysis)} has no selection of its strongest entries.",
            "Draw it whole, with plot().",
        )
    return parts


def _draw(axes: Axes, part: RankedEntries, columns: int) -> None:
    names = [_short(name) for name, _ in part.rows]
    share = (
        0.9 - _CHAR * max(map(len, names), default=0) / canvas.WIDTHS[columns]
    )  # beside the names
    values = np.array([value for _, value in part.rows])
    colors = [LIGHT[1] if value < part.neutral else LIGHT[-2] for value in values]
    at = np.arange(len(values))
    axes.barh(at, values - part.neutral, left=part.neutral, color=colors, height=0.75)
    axes.axvline(part.neutral, color="black", linewidth=0.6)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_yticks(at, names, parse_math=False)
    if not part.signed:
        axes.set_xlim(0, 1)
    title = canvas.wrapped(part.title, columns, share)
    axes.set_title(title, loc="left", fontsize=7, parse_math=False)
    if part.note:
        axes.set_xlabel(canvas.wrapped(part.note, columns, share), fontsize=6, parse_math=False)


def _short(name: str) -> str:
    return name if len(name) <= _LABEL_MOST else name[: _LABEL_MOST - 1] + "…"
