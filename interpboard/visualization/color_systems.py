"""What is painted, in the colours that a terminal has.

A rich style keeps the codes with which it was first written, and equal styles are one object: a page in
256 colours behind one in all of them would hold those of the first. So styles are made over before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rich.color import ColorSystem
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style

SYSTEMS = {
    "truecolor": ColorSystem.TRUECOLOR,
    "256": ColorSystem.EIGHT_BIT,
    "16": ColorSystem.STANDARD,
}


@dataclass(frozen=True)
class InSystem:
    """``page`` with every colour the nearest of ``system``."""

    page: RenderableType
    system: ColorSystem

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text, style, control in console.render(self.page, options):
            yield Segment(text, style and in_system(style, self.system), control)


@lru_cache(maxsize=4096)
def in_system(style: Style, system: ColorSystem) -> Style:
    """``style`` with its colours the nearest of ``system``: written, it is the same in every other."""
    colors = (each and each.downgrade(system) for each in (style.color, style.bgcolor))
    return style.without_color + Style.from_color(*colors)
