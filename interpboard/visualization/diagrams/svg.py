"""A circuit as an SVG picture, and as a page of HTML around it. Both need nothing but themselves."""

from __future__ import annotations

from html import escape
from itertools import groupby

from interpboard.display import visible
from interpboard.visualization.diagrams.drawing import Drawing, Edge, Node
from interpboard.visualization.diagrams.text import color, fill_of, long_label, width

_NODE = (64, 26)  # width and height
_GAP = (22, 54)
_EDGE_PAD = 24
_CHAR = 7  # width of a character
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>body{{font:15px/1.5 sans-serif;margin:1.5rem;color:#222;background:#fff}}
svg{{max-width:100%;height:auto}}</style>
</head><body><h1>{title}</h1><p>{caption}</p>
{picture}</body></html>
"""


def svg(drawing: Drawing) -> str:
    """A picture from the embedding (top) to the output; the score of an edge is its tooltip."""
    ranks = [list(group) for _, group in groupby(drawing.nodes, key=lambda node: node.rank)]
    across = max((len(nodes) for nodes in ranks), default=1)
    wide = 2 * _EDGE_PAD + across * (_NODE[0] + _GAP[0])
    high = 2 * _EDGE_PAD + len(ranks) * (_NODE[1] + _GAP[1]) - _GAP[1]
    note = drawing.counted if len(drawing.edges) < drawing.lines else ""
    if note:
        wide, high = max(wide, len(note) * _CHAR), high + _EDGE_PAD
    centers = _centers(ranks, wide)
    parts = [_path(drawing, edge, centers) for edge in reversed(drawing.edges)]
    parts += [_box(node, *centers[node.name]) for nodes in ranks for node in nodes]
    if note:
        parts.append(f'<text x="{wide / 2:.1f}" y="{high - 8}" text-anchor="middle">{note}</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" '
        f'height="{high}" font-family="sans-serif" font-size="12" role="img" '
        f'aria-label="circuit of {len(drawing.edges)} edges">\n{body}\n</svg>\n'
    )


def svg_page(drawing: Drawing, title: str = "Circuit", caption: str = "") -> str:
    """The picture on a page of its own."""
    return _PAGE.format(
        title=escape(visible(title)), caption=escape(visible(caption)), picture=svg(drawing)
    )


def _centers(ranks: list[list[Node]], wide: int) -> dict[str, tuple[float, float]]:
    """Where the middle of each node is; nodes of a rank stand evenly, every other rank off centre a
    little, so that lines past it stay apart from it."""
    centers = {}
    for row, nodes in enumerate(ranks):
        step = _NODE[0] + _GAP[0]
        first = wide / 2 - step * (len(nodes) - 1) / 2
        lean = (
            step / 4 * (-1 if row % 2 else 1) if len(nodes) == 1 and 0 < row < len(ranks) - 1 else 0
        )
        for place, node in enumerate(nodes):
            y = _EDGE_PAD + _NODE[1] / 2 + row * (_NODE[1] + _GAP[1])
            centers[node.name] = first + step * place + lean, y
    return centers


def _path(drawing: Drawing, edge: Edge, centers: dict[str, tuple[float, float]]) -> str:
    (x0, y0), (x1, y1) = centers[edge.sender], centers[edge.receiver]
    y0, y1 = y0 + _NODE[1] / 2, y1 - _NODE[1] / 2
    x1 += {"q": -16, "k": 0, "v": 16}.get(edge.letter, 0)  # each input at its own place
    half = (y1 - y0) / 2
    letter = f" {edge.letter}" if edge.letter else ""
    told = f"{long_label(edge.sender)} → {long_label(edge.receiver)}{letter}: {edge.score:+.4g}"
    return (
        f'<path d="M{x0:.1f} {y0:.1f} C{x0:.1f} {y0 + half:.1f} {x1:.1f} {y1 - half:.1f} '
        f'{x1:.1f} {y1:.1f}" fill="none" stroke="{color(drawing, edge)}" '
        f'stroke-width="{width(drawing, edge):.2f}"><title>{escape(told)}</title></path>'
    )


def _box(node: Node, x: float, y: float) -> str:
    left, top = x - _NODE[0] / 2, y - _NODE[1] / 2
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{_NODE[0]}" height="{_NODE[1]}" rx="5" '
        f'fill="{fill_of(node.name)}" stroke="#444"/><text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">'
        f"{escape(long_label(node.name))}</text>"
    )
