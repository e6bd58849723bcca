"""Lines in text over the whole of a view: drawn anew only when they or the size change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.widget import Widget

from interpboard.display import ascii_everywhere

if TYPE_CHECKING:
    from interpboard.visualization.curves import Curves


class LinesView(Widget, can_focus=False):
    """Draws ``Curves``."""

    DEFAULT_CSS = "LinesView { height: 1fr; width: 100%; padding: 0 1; text-wrap: nowrap; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.curves: Curves | None = None

    def show(self, curves: Curves | None) -> None:
        """Show ``curves``."""
        if curves is not self.curves:
            self.curves = curves
            self.refresh()

    def render(self) -> Text:
        """As much as there is room for, or one line that says there is none."""
        if self.curves is None:
            return Text()
        from interpboard.visualization.plot_text import SMALLEST_PLOT, plot_lines

        width, height = self.content_size
        dark = self.app.current_theme.dark
        drawn = plot_lines(self.curves, width, height, dark=dark, ascii_only=ascii_everywhere.get())
        if not drawn:
            return Text(f"A plot needs {SMALLEST_PLOT[0]} columns and {SMALLEST_PLOT[1]} lines.")
        return Text("\n", no_wrap=True).join(drawn)
