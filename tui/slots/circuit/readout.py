"""What the lines under a circuit's diagram say: the size that is drawn, and what its shares are shares of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from interpboard.results.graph_edges import count_of_edges
from tui import words
from tui.slots.circuit.series import best_edges, measure

if TYPE_CHECKING:
    from interpboard.results import Result
    from tui.theme import Inks


def size_readout(result: Result, at: int, ink: Inks) -> Text:
    """The size ``at`` of the series, what it keeps, and its threshold."""
    extra = result.extra
    size, share = int(extra["size"].values[at]), extra["faithfulness"].values[at]
    text = Text.assemble(
        (f" {size} of {count_of_edges(result)} edges", Style(color=ink.text, bold=True)),
        (f"  faithfulness {words.fraction(float(share))}", Style(color=ink.accent, bold=True)),
    )
    complete = float(extra["completeness"].values[at])
    text.append(f"  completeness {words.fraction(complete)}", ink.text)
    if size:
        inside = extra["enters"].values.astype(float) <= best_edges(result, at)
        weakest = float(abs(result.values[inside]).min())
        text.append(f"  |score| ≥ {words.unsigned(weakest)}", ink.text)
    return text


def shares_line(result: Result, ink: Inks) -> Text:
    """The clean and the corrupted value of the measure, between which faithfulness is a share."""
    clean, corrupted = (words.scalar(result.extra[name]) for name in ("clean", "corrupted"))
    assert clean is not None
    assert corrupted is not None
    text = f" {measure(result)}: clean {words.unsigned(clean, 2)}, corrupted "
    text += f"{words.unsigned(corrupted, 2)}; shares measured, scores estimated"
    return Text(f"{text}; heavy: strong; q k v: inputs of a head", ink.muted)
