"""A circuit as text for other tools: Graphviz DOT and Mermaid."""

from __future__ import annotations

import re
from itertools import groupby

from interpboard.display import visible
from interpboard.registry import component_names
from interpboard.visualization.colors import LIGHT, MIDDLE
from interpboard.visualization.diagrams.drawing import Drawing, Edge

_PLAIN, _SHADED = "#fff", "#dfe7ef"
_WIDEST = 5.0  # points, of the strongest edge


def dot(drawing: Drawing) -> str:
    """A Graphviz digraph from the embedding (top) to the output. Width and colour say |score| and sign."""
    lines = [
        "digraph circuit {",
        "  rankdir=TB;",
        '  node [shape=box, style=rounded, fontname="sans-serif"];',
        '  edge [fontname="sans-serif", fontsize=9];',
    ]
    for _, group in groupby(drawing.nodes, key=lambda node: node.rank):
        nodes = list(group)
        named = " ".join(
            f"{_quoted(node.name)} [label={_quoted(long_label(node.name))}{_filled(node.name)}];"
            for node in nodes
        )
        lines.append(f"  {{ rank=same; {named} }}")
    for edge in drawing.edges:
        label = f", label={_quoted(edge.letter)}" if edge.letter else ""
        lines.append(
            f"  {_quoted(edge.sender)} -> {_quoted(edge.receiver)} [penwidth={width(drawing, edge):.2f}, "
            f'color="{color(drawing, edge)}", tooltip="{edge.score:+.4g}"{label}];'
        )
    return "\n".join([*lines, "}"]) + "\n"


def mermaid(drawing: Drawing) -> str:
    """A Mermaid flowchart, as GitHub renders it."""
    ids = {node.name: f"n{i}" for i, node in enumerate(drawing.nodes)}
    lines = ["flowchart TD"]
    for node in drawing.nodes:
        lines.append(f'  {ids[node.name]}["{_entities(long_label(node.name))}"]')
    for edge in drawing.edges:
        label = f"|{_entities(edge.letter)}|" if edge.letter else ""
        lines.append(f"  {ids[edge.sender]} -->{label} {ids[edge.receiver]}")
    for node in drawing.nodes:
        if fill_of(node.name) != _PLAIN:
            lines.append(f"  style {ids[node.name]} fill:{fill_of(node.name)}")
    for number, edge in enumerate(drawing.edges):
        style = f"stroke:{color(drawing, edge)},stroke-width:{width(drawing, edge):.2f}px"
        lines.append(f"  linkStyle {number} {style}")
    return "\n".join(lines) + "\n"


def long_label(name: str) -> str:
    """A node in words: ``L1 H3``, ``L1 MLP``."""
    return visible(component_names.shown_component(name))


def fill_of(name: str) -> str:
    """The ground of a node: parts of an encoder are shaded, which tells them from the decoder's."""
    return _SHADED if name.startswith("E") else _PLAIN


def _filled(name: str) -> str:
    if fill_of(name) == _PLAIN:
        return ""
    return f', style="rounded,filled", fillcolor="{fill_of(name)}"'


def width(drawing: Drawing, edge: Edge) -> float:
    """Line width of ``edge``, from 0.5 for the weakest."""
    return max(0.5, _WIDEST * min(1.0, abs(edge.score) / drawing.strongest))


def color(drawing: Drawing, edge: Edge) -> str:
    """Colour of ``edge`` on white: blue negative, orange positive, stronger darker."""
    step = max(2, round(MIDDLE * min(1.0, abs(edge.score) / drawing.strongest)))
    return LIGHT[MIDDLE + (step if edge.score > 0 else -step)]


def _quoted(text: str) -> str:
    return '"' + visible(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _entities(text: str) -> str:
    """Mermaid's own entities: ``#`` and the code point."""
    return re.sub(r"[^A-Za-z0-9 .]", lambda found: f"#{ord(found[0])};", text)
