"""How the answer builds up from layer to layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interpboard.display import visible, visible_token
from interpboard.errors import BadParameter
from interpboard.results import Result
from interpboard.results.sites import with_sites
from interpboard.visualization.colors import LIGHT
from interpboard.visualization.figures import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Flow:
    """``line`` [label], and in ``bars`` what each layer adds to it, from the ``first`` label on."""

    labels: tuple[str, ...]
    name: str
    line: np.ndarray
    bars: tuple[tuple[str, np.ndarray], ...] = ()
    first: int = 0


def activation_flow(result: Result, *, columns: int = 1, title: str | None = None) -> Figure:
    """Of ``direct_logit_attribution``: what attention and MLP of each layer write into the answer, and
    their running sum. Of a result over layer and token: the value at the metric's position, by layer.

    Raises ``BadParameter`` for a result that holds neither.
    """
    flow = flow_of(result)
    with canvas.style():
        figure = canvas.new_figure(columns, 2.3)
        axes = figure.add_subplot()
        for i, (name, values) in enumerate(flow.bars):
            at = np.arange(len(values)) + flow.first + (0.4 * i - 0.2)
            axes.bar(at, values, 0.38, label=name, color=LIGHT[(1, -2)[i]])
        axes.plot(
            np.arange(len(flow.line)), flow.line, label=flow.name, marker="o", markersize=2.5,
            color="black" if flow.bars else LIGHT[-1],
        )  # fmt: skip
        axes.set_xticks(np.arange(len(flow.labels)), flow.labels, parse_math=False)
        if flow.bars:
            axes.legend(frameon=False)
        else:
            axes.annotate(
                flow.name, (0.02, 0.95), xycoords="axes fraction", va="top", parse_math=False
            )
        axes.set_xlabel("layer")
        canvas.put_meaning(figure, canvas.meaning_of(result), columns)
        axes.axhline(0, color="black", linewidth=0.6)
        canvas.put_title(figure, title or canvas.title_of(result), columns)
    return figure


def flow_of(result: Result) -> Flow:
    """What ``activation_flow`` draws. Raises ``BadParameter`` as it does."""
    extra = result.extra
    if {"attention", "mlp", "accumulated"} <= set(extra):
        sums = extra["accumulated"]
        bars = (("attention", extra["attention"].values), ("MLP", extra["mlp"].values))
        first = len(sums.values) - len(bars[0][1])
        labels = tuple(map(visible, sums.axes[0].labels))
        return Flow(labels, "sum so far", sums.values, bars, first)
    if tuple(axis.name for axis in result.axes) != ("layer", "token"):
        raise BadParameter(
            f"{visible(result.analysis)} does not say what flows from layer to layer.",
            "Draw direct_logit_attribution, a lens, or another grid of layer and token.",
        )
    tokens = result.axes[1].labels
    layers = with_sites(result).axes[0].labels
    position = result.metric.position
    if not 0 <= position < len(tokens):
        raise BadParameter(f"The result does not hold position {position}.", "")
    name = f"position {position} ({visible_token(tokens[position])})"
    return Flow(tuple(map(visible, layers)), name, result.values[:, position])
