"""How the answer builds up from layer to layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interpboard.display import visible, visible_token
from interpboard.errors import BadParameter
from interpboard.results import Result
from interpboard.visualization.colors import LIGHT
from interpboard.visualization.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def activation_flow(result: Result, *, columns: int = 1, title: str | None = None) -> Figure:
    """Of ``direct_logit_attribution``: what attention and MLP of each layer write into the answer, and
    their running sum. Of a result over layer and token: the value at the metric's position, by layer.

    Raises ``BadParameter`` for a result that holds neither.
    """
    with canvas.style():
        figure = canvas.new_figure(columns, 2.3)
        axes = figure.add_subplot()
        if {"attention", "mlp", "accumulated"} <= set(result.extra):
            _written(axes, result)
        elif tuple(axis.name for axis in result.axes) == ("layer", "token"):
            _followed(axes, result)
        else:
            raise BadParameter(
                f"{visible(result.analysis)} does not say what flows from layer to layer.",
                "Draw direct_logit_attribution, a lens, or another grid of layer and token.",
            )
        axes.set_xlabel("layer")
        axes.set_ylabel(canvas.wrapped(canvas.meaning_of(result), columns, 0.5), parse_math=False)
        axes.axhline(0, color="black", linewidth=0.6)
        canvas.put_title(axes, title or canvas.title_of(result), columns)
    return figure


def _written(axes: Axes, result: Result) -> None:
    attention, mlp = result.extra["attention"], result.extra["mlp"]
    sums = result.extra["accumulated"]
    at = np.arange(len(attention.axes[0].labels)) + len(sums.values) - len(attention.values)
    axes.bar(at - 0.2, attention.values, 0.38, label="attention", color=LIGHT[1])
    axes.bar(at + 0.2, mlp.values, 0.38, label="MLP", color=LIGHT[-2])
    axes.plot(
        np.arange(len(sums.values)), sums.values, color="black", marker="o", markersize=2.5,
        label="sum so far",
    )  # fmt: skip
    axes.set_xticks(np.arange(len(sums.values)), sums.axes[0].labels, parse_math=False)
    axes.legend(frameon=False)


def _followed(axes: Axes, result: Result) -> None:
    tokens = result.axes[1].labels
    position = result.metric.position
    if not 0 <= position < len(tokens):
        raise BadParameter(f"The result does not hold position {position}.", "")
    labels = result.axes[0].labels
    shown = f"position {position} ({visible_token(tokens[position])})"
    axes.plot(
        np.arange(len(labels)), result.values[:, position], color=LIGHT[-1], marker="o",
        markersize=2.5,
    )  # fmt: skip
    axes.annotate(shown, (0.02, 0.95), xycoords="axes fraction", va="top", parse_math=False)
    axes.set_xticks(np.arange(len(labels)), labels, parse_math=False)
