"""Screens over others: what lies behind them is drawn from the lines that are there.

Textual 8 renders the screen behind through rich's console and mixes the colours of every piece anew, at every
paint of all that is in front; the same few styles make up the whole of it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.css.styles import RulesMap
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import Screen
from textual.strip import Strip
from textual.visual import RenderOptions, Visual, VisualType

from tui.terminal import pending, sizes
from tui.terminal.painted_once import PaintedOnce

_MOST_STYLES = 4096
_BARE = Style()


class Behind(Visual):
    """The lines of ``screen`` under ``tint``, without what the mouse could do there."""

    def __init__(self, screen: Screen[Any], tint: Color) -> None:
        self.screen, self.tint = screen, tint

    def render_strips(
        self, width: int, height: int | None, style: object, options: RenderOptions
    ) -> list[Strip]:
        """Its lines, cut to ``width``."""
        return [
            Strip(
                [
                    Segment(text, _tinted(style or _BARE, self.tint), control)
                    for text, style, control in strip
                ],
                strip.cell_length,
            ).crop(0, width)
            for strip in pending.strips(self.screen)[:height]
        ]

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """As wide as there is room."""
        return container_width

    def get_height(self, rules: RulesMap, width: int) -> int:
        """As high as the screen."""
        return self.screen.size.height


@lru_cache(_MOST_STYLES)
def _tinted(style: Style, tint: Color) -> Style:
    bare = style.clear_meta_and_links()
    if tint.a == 0:
        return bare
    ink, ground = (
        color and (Color.from_rich_color(color) + tint).rich_color
        for color in (bare.color, bare.bgcolor)
    )
    return bare + Style.from_color(ink, ground)


class Over(PaintedOnce):
    """For screens over others. They have the names of the terminal's size from the first on, as the board."""

    def _post_register(self, app: App[Any]) -> None:
        self.add_class(*sizes.named(app.size), update=False)
        super()._post_register(app)

    def render(self) -> VisualType:  # type: ignore[override]  # Screen's says less than Widget's
        """What shows through, or the background."""
        found = super().render()
        if isinstance(found, BackgroundScreen):
            return Behind(found.screen, found.color)
        return found
