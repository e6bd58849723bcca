"""A circuit's diagram at one size of its series, as the lines of a page, and the heads that a line names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.text import Text

from interpboard.display import ascii_everywhere
from tui.commands.command import keyed
from tui.slots.circuit.series import best_edges

if TYPE_CHECKING:
    from interpboard.results import Result
    from tui.theme import Inks

MOST_DRAWN = 60  # edges; the strongest that fit


def size_diagram(result: Result | None, at: int, width: int, ink: Inks) -> Text:
    """The size ``at`` of the series, ``width`` columns wide; without a result, how one is found."""
    if result is None:
        hint = "\n{key:circuit_find} finds the circuit of the behaviour under the cursor."
        return Text(keyed(hint))
    from interpboard.visualization.blocks import PageStyle
    from interpboard.visualization.diagrams import drawing_of, layered

    whole = drawing_of(result, size=best_edges(result, at))
    page = PageStyle(width, ink.dark, ascii_everywhere.get())
    rows, shown = layered(whole, page, MOST_DRAWN)
    if not rows:
        return Text("\nNo edge leads from the embedding to the output at this size.")
    if len(shown.edges) < len(whole.edges):
        rows.append(Text(f"the strongest {len(shown.edges)} are drawn", ink.muted))
    return Text("\n", no_wrap=True).join(rows)


def heads_of_line(line: str) -> tuple[str, ...]:
    """The heads of a line of the diagram as they are written: ``3.7`` of ``layer 3 … [H7]``, ``X3.7`` of
    ``X3 … [H7]``."""
    layer = re.match(r"(?:layer )?(\d+|[EDX]\d+)\b", line)
    return tuple(f"{layer[1]}.{head}" for head in re.findall(r"\[H(\d+)", line)) if layer else ()
