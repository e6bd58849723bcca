"""The screen of the panes, sparing with paints.

Textual 8 repaints a whole screen whenever the focus moves: what is left out here looks the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from textual.reactive import Reactive
from textual.widget import Widget

from tui.terminal import sizes
from tui.terminal.painted_once import PaintedOnce
from tui.terminal.timers import SureTimers


class Board(SureTimers, PaintedOnce):
    """Paints once at the start; when the focus moves, panes repaint their own frames."""

    AUTO_FOCUS = ""  # the focus is where the user left it, also after the terminal was too small
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def update_classes(
        self, classes: Mapping[str, bool], update: bool = True, animate: bool = True
    ) -> Self:
        """A new size: it has the rules of the larger ones that hold for it too."""
        return super().update_classes(sizes.with_larger(classes), update, animate)
