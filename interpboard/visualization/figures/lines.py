"""Lines from layer to layer, along a prompt, by size: what ``curves`` finds in a result, for print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interpboard.results import Result
from interpboard.visualization.curves import MOST_CURVES, curves_of
from interpboard.visualization.figures import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Told apart without colour too: by the line and by the mark at its points.
LINE_COLORS = ("#005faf", "#af5f00", "#00875f", "#875f87", "#303030")
STYLES = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"), ((0, (1, 3)), "v"))
_TICKS = 12


def lines(
    result: Result,
    *,
    lines: bool = True,
    position: int | None = None,
    most: int = MOST_CURVES,
    columns: int = 1,
    title: str | None = None,
) -> Figure:
    """At most ``most`` lines; ``position`` of the prompt where they are at one. A value that is not there is
    a gap.

    ``lines``: chooses this figure in ``plot()``. Raises ``BadParameter`` as ``curves_of`` does.
    """
    curves = curves_of(result, position=position, most=most)
    with canvas.style():
        figure = canvas.new_figure(columns, 2.5)
        axes = figure.add_subplot()
        for i, line in enumerate(curves.lines):
            style, mark = STYLES[i % len(STYLES)]
            axes.plot(
                curves.x, line.values, label="x", color=LINE_COLORS[i % len(LINE_COLORS)], linestyle=style,
                marker=mark, markersize=2.5,
            )  # fmt: skip
        axes.axhline(curves.neutral, color="black", linewidth=0.6)
        shown = canvas.shown_labels(curves.labels, tokens=False)
        step = max(1, -(-len(shown) // _TICKS))
        turned = max(map(len, shown), default=0) > 3
        angle: dict[str, Any] = (
            {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if turned else {}
        )
        if curves.across == "edges":
            axes.set_xscale("symlog")  # sizes double; 0 is one of them
        axes.set_xticks(curves.x[::step], shown[::step], parse_math=False, **angle)
        axes.set_xlabel(curves.across, parse_math=False)
        legend = axes.legend(frameon=False)
        for text, line in zip(legend.get_texts(), curves.lines, strict=True):
            text.set_parse_math(False)
            text.set_text(line.name)
        meaning = "; ".join(filter(None, (curves.up, curves.note)))
        canvas.put_meaning(figure, meaning, columns)
        canvas.put_title(figure, title or curves.title, columns)
    return figure
