"""The screen of the panes, sparing with paints: each costs a key's worth of time.

Textual 8 paints a first screen three times and repaints a whole screen whenever the focus moves. What
is left out here has been painted already; without these overrides the app looks the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from textual.events import ScreenResume
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget

from tui.terminal import sizes
from tui.terminal.narrow_compositor import NarrowCompositor
from tui.terminal.timers import SureTimers


class Board(SureTimers, Screen[None]):
    """Paints once at the start; when the focus moves, panes repaint their own frames."""

    AUTO_FOCUS = ""  # the focus is where the user left it, also after the terminal was too small
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._compositor = NarrowCompositor()
        self._laid_out = False
        self._extra_paint = False
        self._seen = False

    def on_screen_resume(self, event: ScreenResume) -> None:
        """The first time all has just got its styles as it was mounted; Textual would give them again."""
        if not self._seen:
            self._seen = True
            event.refresh_styles = False

    def _refresh_layout(self, *args: Any, **options: Any) -> None:
        super()._refresh_layout(*args, **options)
        if not self._laid_out and self.size:
            self._laid_out = self._extra_paint = True
            self._dirty_widgets.clear()  # this layout has painted them
            self._repaint_required = False

    def update_classes(
        self, classes: Mapping[str, bool], update: bool = True, animate: bool = True
    ) -> Self:
        """A new size: it has the rules of the larger ones that hold for it too."""
        return super().update_classes(sizes.with_larger(classes), update, animate)

    def refresh(self, *args: Any, **options: Any) -> Self:
        """Leave out the one repaint that follows the first layout at once."""
        if self._extra_paint and not args and not options:
            self._extra_paint = False
            return self
        return super().refresh(*args, **options)
