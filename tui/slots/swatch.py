"""The scale of a grid as a strip of its colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from tui import words
from tui.theme import Inks, level_style

if TYPE_CHECKING:
    from interpboard.visualization.colors import Scale


def swatch(scale: Scale, unit: float, ink: Inks) -> Text:
    """The scale in its own colours, with its ends; readable without colour too.

    The ends are written as the grid's numbers are: without the factor ``unit`` that the title says.
    """
    diverging = scale.diverging
    low, high = (end / unit for end in scale.ends)
    digits = 0 if not diverging else 1 if high >= 1 else 2
    show = words.signed if diverging else words.unsigned
    text = Text(f" {show(low, digits)} ", ink.text)
    for level in range(0 if diverging else 4, 9):
        mark = (
            {0: "-", 4: f"{scale.center / unit:.3g}", 8: "+"}.get(level, " ") if diverging else " "
        )
        style = level_style(level, ink.dark)
        text.append(mark * (1 if diverging else 2), style)
    text.append(f" {show(high, digits)}  ", ink.text)
    return text
