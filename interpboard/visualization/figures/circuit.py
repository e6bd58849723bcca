"""A circuit: its nodes from the embedding (bottom) to the output, its edges as heavy as their score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interpboard.results import Result
from interpboard.visualization.colors import LIGHT
from interpboard.visualization.diagrams import Drawing, drawing_of
from interpboard.visualization.diagrams.text import fill_of, long_label
from interpboard.visualization.figures import canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BOW = 0.12  # how far an edge leaves the straight line, so that parallel ones stay apart


def circuit(
    result: Result, *, most: int = 60, columns: int = 2, title: str | None = None
) -> Figure:
    """At most ``most`` edges, the strongest; what is left out is said in the caption.

    Raises ``BadParameter`` for a result that is no circuit.
    """
    drawing = drawing_of(result, most=most)
    at = node_positions(drawing)
    ranks = {node.rank for node in drawing.nodes}
    with canvas.style():
        figure = canvas.new_figure(columns, 1.2 + 0.42 * max(1, len(ranks)))
        mpl, axes = canvas.matplotlib(), figure.add_subplot()
        for edge in reversed(drawing.edges):
            share = abs(edge.score) / drawing.strongest
            arrow = mpl.patches.FancyArrowPatch(
                at[edge.sender], at[edge.receiver], arrowstyle="-|>", mutation_scale=5,
                shrinkA=7, shrinkB=7, linewidth=0.3 + 1.7 * share, alpha=0.85,
                color=LIGHT[0] if edge.score < 0 else LIGHT[-2],
                connectionstyle=f"arc3,rad={_BOW * {'q': -1, 'v': 1}.get(edge.letter, 0)}",
            )  # fmt: skip
            axes.add_patch(arrow)
        for node in drawing.nodes:
            axes.text(
                *at[node.name], long_label(node.name), ha="center", va="center", fontsize=6, parse_math=False,
                bbox={"boxstyle": "round,pad=0.25", "fc": fill_of(node.name), "ec": "#444444", "lw": 0.6},
            )  # fmt: skip
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.5, max(1, len(ranks)) - 0.5)
        axes.axis("off")
        canvas.put_title(figure, title or canvas.title_of(result), columns)
        canvas.put_meaning(figure, caption(result, drawing), columns)
    return figure


def node_positions(drawing: Drawing) -> dict[str, tuple[float, float]]:
    """Where each node stands: across from 0 to 1, and its rank counted from the embedding."""
    at = {}
    for row, rank in enumerate(sorted({node.rank for node in drawing.nodes})):
        nodes = [node for node in drawing.nodes if node.rank == rank]
        for place, node in enumerate(nodes):
            at[node.name] = ((place + 1) / (len(nodes) + 1), float(row))
    return at


def caption(result: Result, drawing: Drawing) -> str:
    """How many edges are drawn of how many, and what colours and scores mean."""
    colours = f"orange above {result.neutral:g}, blue below; score: {canvas.meaning_of(result)}"
    shaded = any(node.name.startswith("E") for node in drawing.nodes)
    return f"{drawing.counted}; {colours}{'; shaded: the encoder' if shaded else ''}"
