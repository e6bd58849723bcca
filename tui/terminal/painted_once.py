"""A screen whose first layout is its first paint, and the only one: each costs a key's worth of time.

Textual 8 gives all widgets of a first screen their styles twice and paints it three times. What is left out
here has been done already; without these overrides the screen looks the same.
"""

from __future__ import annotations

from typing import Any, Self

from textual.events import ScreenResume
from textual.screen import Screen

from tui.terminal.narrow_compositor import NarrowCompositor


class PaintedOnce(Screen[Any]):
    """For screens: painted once as they open, and later where something has changed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._compositor = NarrowCompositor()
        self._laid_out = False
        self._extra_paint = False
        self._was_in_front = False

    def on_screen_resume(self, event: ScreenResume) -> None:
        """The first time all has just got its styles as it was mounted; Textual would give them again."""
        if not self._was_in_front:
            self._was_in_front = True
            event.refresh_styles = False

    def _refresh_layout(self, *args: Any, **options: Any) -> None:
        super()._refresh_layout(*args, **options)
        if not self._laid_out and self.size:
            self._laid_out = self._extra_paint = True
            self._dirty_widgets.clear()  # this layout has painted them
            self._repaint_required = False
            self.check_idle()  # for what waits for a paint: no other may come

    def refresh(self, *args: Any, **options: Any) -> Self:
        """Leave out the one repaint that follows the first layout at once."""
        if self._extra_paint and not args and not options:
            self._extra_paint = False
            return self
        return super().refresh(*args, **options)
