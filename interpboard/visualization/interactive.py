"""Figures that answer to the mouse (plotly, the ``plots`` extra): a hover shows the exact value."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from interpboard.display import visible, visible_token
from interpboard.errors import BadParameter, MissingPackage
from interpboard.results import Axis, Result
from interpboard.visualization.colors import LIGHT, MIDDLE
from interpboard.visualization.figures.canvas import meaning_of, name_of, scale_of, title_of
from interpboard.visualization.figures.grid import TOKENS
from interpboard.visualization.figures.token_heatmap import token_results


def plotly() -> Any:
    """``plotly.graph_objects``. Raises ``MissingPackage`` with the command that installs it."""
    try:
        import plotly.graph_objects
    except ImportError:
        raise MissingPackage(
            "An interactive figure needs plotly.", "pip install 'interpboard[plots]'"
        ) from None
    return plotly.graph_objects


def heatmap(result: Result, *, title: str | None = None) -> Any:
    """A plotly figure of [row, column], layer 0 at the bottom. Raises ``BadParameter`` for values that
    have not two axes or are text."""
    if result.values.ndim != 2:
        raise BadParameter("A heatmap has two axes.", "Choose a slice.")
    rows, across = result.axes
    scale = scale_of(result, result.values)
    trace = _cells(result.values, scale.diverging, scale.limit, result.values)
    figure = _figure(trace, title or title_of(result), meaning_of(result))
    figure.update_xaxes(title=escape(visible(across.name)), **_ticks(across))
    figure.update_yaxes(title=escape(visible(rows.name)), **_ticks(rows))
    if rows.name != "layer":
        figure.update_yaxes(autorange="reversed")
    return figure


def token_rows(results: Result | Sequence[Result], *, title: str | None = None) -> Any:
    """A plotly figure of one or several methods on one prompt, a row a method.

    Colours are shares of the row's largest magnitude, since units differ; the hover has the values.
    Raises ``BadParameter`` as ``figures.token_heatmap`` does.
    """
    chosen = token_results(results)
    values = np.stack([result.values.astype(np.float64) for result in chosen])
    limits = [scale_of(result, result.values).limit for result in chosen]
    shares = values / np.array(limits)[:, None]
    signed = any(scale_of(result, result.values).diverging for result in chosen)
    said = "; ".join(dict.fromkeys(f"{name_of(r)}: {meaning_of(r)}" for r in chosen))
    first = title_of(chosen[0]) if len(chosen) == 1 else f"{len(chosen)} attributions"
    figure = _figure(_cells(shares, signed, 1.0, values), title or first, said)
    figure.update_xaxes(title="token", **_ticks(chosen[0].axes[0]))
    figure.update_yaxes(autorange="reversed", **_ticks(Axis("", tuple(map(name_of, chosen)))))
    return figure


def _cells(colours: np.ndarray, signed: bool, limit: float, values: np.ndarray) -> Any:
    levels = LIGHT if signed else LIGHT[MIDDLE:]
    return plotly().Heatmap(
        z=colours,
        customdata=values,
        zmin=-limit if signed else 0.0,
        zmax=limit,
        colorscale=[[i / (len(levels) - 1), color] for i, color in enumerate(levels)],
        hovertemplate="%{y}, %{x}: %{customdata:.6g}<extra></extra>",
        xgap=1,
        ygap=1,
    )


def _figure(trace: Any, title: str, meaning: str) -> Any:
    figure = plotly().Figure(trace)
    text = f"{escape(visible(title))}<br><sub>{escape(meaning)}</sub>"
    figure.update_layout(title=text, template="plotly_white")
    return figure


def _ticks(axis: Axis) -> dict[str, Any]:
    """Labels at their places: tokens repeat, and plotly would make one of two that are equal."""
    show = visible_token if axis.name in TOKENS else visible
    labels = [escape(show(label)) for label in axis.labels]
    return {"tickmode": "array", "tickvals": list(range(len(labels))), "ticktext": labels}
