"""A circuit drawn: in the terminal, and as Graphviz DOT, Mermaid and SVG text.

All take the same ``Drawing``, made from a ``circuit`` result. Strings of a result are data: every one
passes ``display.visible`` and the escaping of the format.
"""

from interpboard.visualization.diagrams.drawing import Drawing, Edge, Node, drawing_of
from interpboard.visualization.diagrams.layered import layered
from interpboard.visualization.diagrams.svg import svg, svg_page
from interpboard.visualization.diagrams.text import dot, mermaid

__all__ = ["Drawing", "Edge", "Node", "dot", "drawing_of", "layered", "mermaid", "svg", "svg_page"]
