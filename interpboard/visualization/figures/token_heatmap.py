"""Scores painted on the text itself, for one result or several methods row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.cells import cell_len

from interpboard.display import visible, visible_token
from interpboard.errors import BadParameter
from interpboard.results import Result
from interpboard.visualization.colors import Scale, short_number, text_on
from interpboard.visualization.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CHAR = 0.0585  # inches of a character of 7 points, monospaced
_LINE = 0.34
_PAD = 0.05


def token_heatmap(
    results: Result | Sequence[Result], *, columns: int = 1, title: str | None = None
) -> Figure:
    """The tokens in reading order, each on the colour of its score, the score beneath it.

    Several results: one below the other, each on a scale of its own (their units differ), which is
    written beside its name. Raises ``BadParameter`` for results that have no score a token, or
    scores of different tokens.
    """
    chosen = token_results(results)
    width = canvas.WIDTHS.get(columns, canvas.WIDTHS[1])
    lines = [_lines(result.axes[0].labels, width) for result in chosen]
    names = 0.2 if len(chosen) > 1 else 0.0
    text_height = sum(_LINE * len(each) + names for each in lines)
    with canvas.style():
        figure = canvas.new_figure(columns, text_height + 1.0)
        axes = figure.add_subplot()
        axes.set_xlim(0, width)
        axes.set_ylim(text_height, 0)
        axes.axis("off")
        top = 0.0
        for result, each in zip(chosen, lines, strict=True):
            scale = canvas.numeric_scale_of(result, result.values)
            if names:
                axes.text(0, top + 0.13, _name(result, scale), parse_math=False)
            _write(axes, result, each, scale, top + names)
            top += names + _LINE * len(each)
        text = title or (canvas.title_of(chosen[0]) if len(chosen) == 1 else _several(chosen))
        canvas.put_title(figure, text, columns)
        _legend(figure, axes, chosen, columns)
    return figure


def token_results(results: Result | Sequence[Result]) -> list[Result]:
    """Results that hold a score a token, of the same tokens. Raises ``BadParameter`` otherwise."""
    chosen = [results] if isinstance(results, Result) else list(results)
    if not chosen:
        raise BadParameter("There is no result to draw.", "Give one or more.")
    for result in chosen:
        if tuple(axis.name for axis in result.axes) != ("token",) or result.values.dtype == object:
            raise BadParameter(
                f"{visible(result.analysis)} holds no score a token.",
                "A heatmap on the text draws results whose only axis is token.",
            )
    if any(result.axes != chosen[0].axes for result in chosen):
        raise BadParameter("The results are of different tokens.", "Compare them on one prompt.")
    return chosen


def _lines(labels: Sequence[str], width: float) -> list[list[tuple[int, float, float]]]:
    """Lines of (token's index, left edge, width), as text is set."""
    lines: list[list[tuple[int, float, float]]] = [[]]
    left = 0.0
    for i, label in enumerate(labels):
        width_of_token = min(width, max(4, cell_len(visible_token(label))) * _CHAR + _PAD)
        if left and left + width_of_token > width:
            lines.append([])
            left = 0.0
        lines[-1].append((i, left, width_of_token))
        left += width_of_token + 0.02
    return lines


def _write(
    axes: Axes,
    result: Result,
    lines: list[list[tuple[int, float, float]]],
    scale: Scale,
    top: float,
) -> None:
    mpl = canvas.matplotlib()
    shades, norm = canvas.colors_of(scale)
    for row, line in enumerate(lines):
        y = top + row * _LINE
        for i, left, own in line:
            value = float(result.values[i])
            behind = "#ffffff" if np.isnan(value) else mpl.colors.to_hex(shades(norm(value)))
            axes.add_patch(
                mpl.patches.Rectangle((left, y), own, 0.17, facecolor=behind, linewidth=0)
            )
            middle = left + own / 2
            how: dict[str, Any] = {
                "ha": "center",
                "va": "center",
                "family": ["DejaVu Sans Mono", *canvas.font_families()],
            }
            token = visible_token(result.axes[0].labels[i])
            axes.text(
                middle,
                y + 0.085,
                token,
                color=text_on(behind),
                parse_math=False,
                clip_on=True,
                **how,
            )
            axes.text(middle, y + 0.23, short_number(value, 5), fontsize=5, color="#444444", **how)


def _legend(figure: Figure, axes: Axes, chosen: list[Result], columns: int) -> None:
    mpl = canvas.matplotlib()
    scale = canvas.numeric_scale_of(chosen[0], chosen[0].values)
    one = len(chosen) == 1
    shades, norm = canvas.colors_of(scale if one else Scale(1.0))
    drawn = mpl.cm.ScalarMappable(norm, shades)
    label = (
        canvas.meaning_of(chosen[0])
        if one
        else "share of the row's largest magnitude. "
        + "; ".join(
            f"{canvas.analysis_name(result)}: {canvas.meaning_of(result)}" for result in chosen
        )
    )
    canvas.color_bar(figure, drawn, axes, label, columns)


def _name(result: Result, scale: Scale) -> str:
    name = canvas.analysis_name(result)
    return f"{name}  (full colour: {'±' if scale.diverging else ''}{scale.limit:.3g})"


def _several(chosen: list[Result]) -> str:
    metrics = {canvas.title_of(result).partition(": ")[2] for result in chosen}
    return f"{len(chosen)} attributions: {', '.join(sorted(metrics))}"
