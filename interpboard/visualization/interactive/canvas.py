"""What every figure of plotly stands on: colours, labels, titles. Strings of a result do nothing in it.

Plotly reads a little HTML in its texts, so every string is escaped on top of being made visible.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from interpboard.display import visible, visible_token
from interpboard.errors import MissingPackage
from interpboard.results import Axis
from interpboard.results.labels import TOKEN_AXES
from interpboard.visualization.colors import LIGHT, MIDDLE, Scale

_LINE = 110  # characters of a line below the title


def plotly() -> Any:
    """``plotly.graph_objects``. Raises ``MissingPackage`` with the command that installs it."""
    try:
        import plotly.graph_objects
    except ImportError:
        raise MissingPackage(
            "An interactive figure needs plotly.", "pip install 'interpboard[plots]'"
        ) from None
    return plotly.graph_objects


def plotly_text(shown: str) -> str:
    """A string of a result as plotly is given it."""
    return escape(visible(shown))


def plotly_token(shown: str) -> str:
    """A token, its spaces shown."""
    return escape(visible_token(shown))


def new_figure(title: str, meaning: str, *traces: Any) -> Any:
    """A figure of ``traces``, its title above, and what values and signs mean in small below that."""
    figure = plotly().Figure(list(traces))
    put_title(figure, title, meaning)
    return figure


def put_title(figure: Any, title: str, meaning: str, *, panels: int = 0) -> None:
    """The title, and what values and signs mean in small below it. ``panels``: lines of the names of
    the panels, which stand above each."""
    lines = wrapped(meaning)
    below = "".join(f"<br><sub>{line}</sub>" for line in lines)
    figure.update_annotations(font_size=12)
    figure.update_layout(
        title={"text": f"{plotly_text(title)}{below}", "y": 1, "yref": "container", "yanchor": "top",
               "pad": {"t": 20}},
        template="plotly_white",
        margin={"t": 70 + 20 * len(lines) + 18 * panels},
    )  # fmt: skip


def wrapped(shown: str) -> list[str]:
    """``shown`` in lines that fit a figure, each as plotly is given it."""
    return [escape(line) for line in textwrap.wrap(visible(shown), _LINE)]


def heatmap_cells(
    values: np.ndarray,
    scale: Scale,
    rows: Axis,
    across: Axis,
    *,
    exact: np.ndarray | None = None,
    **more: Any,
) -> Any:
    """Cells of [row, column] on ``scale``; the hover has the place and ``exact`` (the values themselves)."""
    told: dict[str, Any] = {
        "z": values,
        "customdata": values if exact is None else exact,
        "zmin": scale.ends[0],
        "zmax": scale.ends[1],
        "colorscale": color_scale(scale),
        "hovertemplate": f"{hover_place(rows, across)}: %{{customdata:.6~g}}<extra></extra>",
        "xgap": 1,
        "ygap": 1,
    }
    return plotly().Heatmap(**(told | more))


def hover_place(rows: Axis, across: Axis) -> str:
    """The cell under the pointer, in a hover's template."""
    return f"{plotly_text(rows.name)} %{{y}}, {plotly_text(across.name)} %{{x}}".strip()


def color_scale(scale: Scale) -> list[list[Any]]:
    """The nine levels of every view, or the orange arm of them."""
    levels = LIGHT if scale.diverging else LIGHT[MIDDLE:]
    return [[i / (len(levels) - 1), color] for i, color in enumerate(levels)]


def ticks(axis: Axis, *, marked: Sequence[int] = ()) -> dict[str, Any]:
    """Labels at their places: tokens repeat, and plotly would make one of two that are equal.

    ``marked``: those that stand out, in bold with a star."""
    show = plotly_token if axis.name in TOKEN_AXES else plotly_text
    labels = [show(label) for label in axis.labels]
    for i in marked:
        labels[i] = f"<b>{labels[i]}*</b>"
    return {"tickmode": "array", "tickvals": list(range(len(labels))), "ticktext": labels}


def label_axes(figure: Any, rows: Axis, across: Axis, *, marked: Sequence[int] = ()) -> None:
    """Names and labels of both axes; layer 0 at the bottom, other rows from the top."""
    figure.update_xaxes(title=plotly_text(across.name), **ticks(across, marked=marked))
    figure.update_yaxes(title=plotly_text(rows.name), **ticks(rows))
    if rows.name != "layer":
        figure.update_yaxes(autorange="reversed")
