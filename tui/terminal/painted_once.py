"""A screen whose first layout is its first paint, and the only one: each costs a key's worth of time.

Textual 8 gives all widgets of a screen that opens their styles twice, and lays it out and paints it three
times. What is left out here has been done already; without these overrides the screen looks the same.
"""

from __future__ import annotations

from typing import Any, Self

from textual.events import ScreenResume
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget

from tui.terminal.narrow_compositor import NarrowCompositor


class PaintedOnce(Screen[Any]):
    """For screens: painted once as they open, and later where something has changed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._compositor = NarrowCompositor()
        self._laid_out = False
        self._extra_paint = False
        self._was_in_front = False
        self._said_again = 0  # how often it is still to hear that its first widgets are there

    def on_screen_resume(self, event: ScreenResume) -> None:
        """The first time all has just got its styles as it was mounted; Textual would give them again."""
        if not self._was_in_front:
            self._was_in_front = True
            event.refresh_styles = False

    async def mount_composed_widgets(self, widgets: list[Widget]) -> None:
        """Who mounts them and who opens the screen say again that they are there, each for a layout."""
        await super().mount_composed_widgets(widgets)
        self._said_again = 2 if widgets else 1

    def _screen_resized(self, size: Size) -> None:
        """The first layout tells the screen the size that it has just been laid out for."""
        if not self._laid_out or self._compositor.size != size:
            super()._screen_resized(size)

    def _refresh_layout(self, *args: Any, **options: Any) -> None:
        super()._refresh_layout(*args, **options)
        if not self._laid_out and self.size:
            self._laid_out = self._extra_paint = True
            self._dirty_widgets.clear()  # this layout has painted them
            self._repaint_required = False
            self.check_idle()  # for what waits for a paint: no other may come

    def refresh(self, *args: Any, **options: Any) -> Self:
        """Leave out the one repaint that follows the first layout at once, and layouts for what it has."""
        if self._said_again and not args and options == {"layout": True}:
            self._said_again -= 1
            return self
        if self._extra_paint and not args and not options:
            self._extra_paint = False
            return self
        return super().refresh(*args, **options)
