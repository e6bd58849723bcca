"""Before and after: two results of one analysis, and their difference, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.results import Result
from interpboard.results.labels import TOKEN_AXES
from interpboard.visualization.colors import Scale
from interpboard.visualization.figures import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def comparison(
    before: Result,
    after: Result,
    *,
    names: tuple[str, str] = ("before", "after"),
    columns: int = 2,
    title: str | None = None,
) -> Figure:
    """``before``, ``after`` on one scale, and after − before on its own, [row, column] or a row each.

    Raises ``BadParameter`` for results of different analyses or metrics, or axes of unequal length: then
    there is no difference cell by cell.
    """
    parts = panels(before, after, names)
    rows = before.values.shape[0] if before.values.ndim == 2 else 1
    across = before.axes[-1]
    with canvas.style():
        height = min(9.0, 1.7 + 0.16 * max(4, rows))
        figure = canvas.new_figure(columns, height)
        inches = canvas.WIDTHS[columns] / 3 - 0.4
        for i, (name, result, values, scale) in enumerate(parts):
            axes = figure.add_subplot(1, 3, i + 1)
            upwards = result.axes[0].name == "layer"
            drawn = canvas.heat(axes, np.atleast_2d(values), scale, first_on_top=not upwards)
            shown = canvas.shown_labels(result.axes[-1].labels, tokens=across.name in TOKEN_AXES)
            long = max(map(len, shown), default=0) > 2
            canvas.put_labels(axes, "x", shown, inches, rotate=long)
            axes.set_xlabel(visible(across.name), parse_math=False)
            if values.ndim == 1 or i:
                axes.set_yticks([])
            else:
                first = canvas.shown_labels(result.axes[0].labels, tokens=False)
                canvas.put_labels(axes, "y", first, height - 1.4)
                axes.set_ylabel(visible(result.axes[0].name), parse_math=False)
            axes.set_title(visible(name), parse_math=False)
            bar = figure.colorbar(drawn, ax=axes, location="bottom", aspect=20, pad=0.03)
            canvas.as_shapes(bar)
        canvas.put_title(figure, title or canvas.title_of(before), columns)
        canvas.put_meaning(figure, canvas.meaning_of(before), columns)
    return figure


def panels(
    before: Result, after: Result, names: tuple[str, str]
) -> tuple[tuple[str, Result, np.ndarray, Scale], ...]:
    """Before, after, and after − before: name, labels, values and scale of each. Raises ``BadParameter``
    as ``comparison`` does."""
    same = before.analysis == after.analysis and before.values.shape == after.values.shape
    if not same or tuple(a.name for a in before.axes) != tuple(a.name for a in after.axes):
        raise BadParameter(
            "Only results of one analysis with equal axes are compared cell by cell.",
            "Run both with the same parameters on prompts of equal length.",
        )
    if before.metric.name != after.metric.name:
        raise BadParameter(
            f"The results explain {visible(before.metric.name)} and {visible(after.metric.name)}.",
            "Run both with one metric.",
        )
    if before.neutral != after.neutral:
        raise BadParameter(
            f"No effect is {before.neutral:g} in the first and {after.neutral:g} in the second.",
            "Run both with the same parameters.",
        )
    if before.values.ndim not in (1, 2):
        raise BadParameter("A comparison draws results of one or two axes.", "Choose a slice.")
    shared = canvas.numeric_scale_of(before, np.concatenate([before.values, after.values], axis=0))
    change = after.values - before.values
    return (
        (names[0], before, before.values, shared),
        (names[1], after, after.values, shared),
        (f"{names[1]} − {names[0]}", after, change, Scale.of(change, diverging=True)),
    )
