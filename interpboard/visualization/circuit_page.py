"""A circuit on the terminal's page: the diagram, what it leaves out, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.text import Text

from interpboard.errors import BadParameter
from interpboard.results import Document, Result
from interpboard.results.graph_edges import count_of_edges
from interpboard.visualization.blocks import PageStyle, bars
from interpboard.visualization.colors import Scale
from interpboard.visualization.diagrams import dot, drawing_of, layered, mermaid, svg
from interpboard.visualization.suiting import is_circuit

_LEGEND = (
    "a line is as heavy as the strongest edge it carries; q, k, v: that input of the head; "
    "lines that cross without a joint do not meet"
)


DIAGRAMS = {"dot": dot, "mermaid": mermaid, "svg": svg}


def diagram(document: Document, form: str, size: int | None = None) -> str:
    """The first circuit of ``document``, whole, as ``form``; with ``size`` the one of that size in its
    series. Raises ``BadParameter`` if there is no circuit."""
    for result in document.results:
        if is_circuit(result):
            return DIAGRAMS[form](drawing_of(result, size=size))
    raise BadParameter(f"Only circuits are drawn as {form}.", "Add --analysis circuit.")


def circuit_page(result: Result, page: PageStyle) -> Iterator[Text]:
    """The lines of the page."""
    whole = drawing_of(result)
    diagram, shown = layered(whole, page)
    yield from diagram
    if not diagram:
        yield Text("(no edge from the embedding to the output)")
    counted = (
        f"{whole.of} of {count_of_edges(result)} edges are in the circuit"
        f"{'' if len(shown.edges) == len(whole.edges) else f'; the strongest {len(shown.edges)} are drawn'}"
    )
    yield from _wrapped(f"{counted}; {_LEGEND}", page)
    yield Text()
    yield Text(
        page.fit("faithfulness of the circuits of the series, measured", page.width).rstrip()
    )
    series = result.extra["faithfulness"]
    sizes = result.extra["size"].values
    labels = [f"{size} edges" for size in sizes.tolist()]
    width = max(map(len, labels), default=0)
    values = np.clip(series.values.astype(np.float64), 0, None)
    largest = float(np.nanmax(values, initial=0))
    scale = Scale(max(1.0, largest), diverging=False, shares=True)  # 100.00 % whatever the last bit
    yield from bars(values, [label.rjust(width) for label in labels], scale, page)


def _wrapped(text: str, page: PageStyle) -> Iterator[Text]:
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > page.width:
            yield Text(line, "dim")
            line = word
        else:
            line = f"{line} {word}".strip()
    yield Text(line, "dim")
