"""Any result of two dimensions as a grid of painted cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.results import Axis, Result
from interpboard.results.intervals import unsure_entries
from interpboard.results.labels import TOKEN_AXES
from interpboard.results.sites import with_sites
from interpboard.visualization.colors import Scale
from interpboard.visualization.figures import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW = 0.16  # inches


def grid(result: Result, *, columns: int = 1, title: str | None = None) -> Figure:
    """``values`` [row, column] in the order of the axes; layer 0 at the bottom.

    Raises ``BadParameter`` for a result that has not two dimensions, ``MissingPackage`` without
    matplotlib.
    """
    result = with_sites(result)
    if result.values.ndim != 2:
        names = ", ".join(visible(axis.name) for axis in result.axes) or "none"
        raise BadParameter(f"A grid has two axes; this result has {names}.", "Choose a slice.")
    return painted(result, result.values, result.axes, columns=columns, title=title)


def painted(
    result: Result,
    values: np.ndarray,
    axes_of: tuple[Axis, ...],
    *,
    columns: int,
    title: str | None,
    label: str | None = None,
    scale: Scale | None = None,
) -> Figure:
    """The grid of ``values`` over two axes, with its legend; the scale that of the result's values."""
    scale = scale or canvas.numeric_scale_of(result, values)
    rows, across = axes_of
    with canvas.style():
        high = _ROW * max(4, len(rows.labels))
        if rows.name == "query":  # cells of a pattern are as wide as they are high
            high = min(
                high, (canvas.WIDTHS.get(columns, 0) - 1) / len(across.labels) * len(rows.labels)
            )
        height = min(9.0, 1.35 + high)
        if across.name in TOKEN_AXES:
            height += 0.4
        figure = canvas.new_figure(columns, height)
        axes = figure.add_subplot()
        upwards = rows.name == "layer"  # as the residual stream runs
        drawn = canvas.heat(axes, values, scale, first_on_top=not upwards)
        own = values is result.values
        unsure = unsure_entries(result) if own else np.zeros(values.shape, dtype=bool)
        canvas.hatch(axes, unsure)
        label_axes(axes, rows, across, columns, height)
        canvas.put_title(figure, title or canvas.title_of(result), columns)
        said = canvas.with_hatching(label or canvas.meaning_of(result), result, unsure)
        canvas.color_bar(figure, drawn, axes, said, columns)
    return figure


def label_axes(axes: object, rows: Axis, across: Axis, columns: int, height: float) -> None:
    """Names and labels of both axes."""
    for which, axis, inches in (
        ("y", rows, height - 1.2),
        ("x", across, canvas.WIDTHS[columns] - 0.8),
    ):
        shown = canvas.shown_labels(axis.labels, tokens=axis.name in TOKEN_AXES)
        turned = which == "x" and max(map(len, shown), default=0) > 3
        canvas.put_labels(axes, which, shown, inches, rotate=turned)  # type: ignore[arg-type]
        getattr(axes, f"set_{which}label")(visible(axis.name), parse_math=False)
