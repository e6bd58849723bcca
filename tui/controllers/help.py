"""Help: the keys of the active pane, what it answers, and its lines in full."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.controllers.ports import OpensScreens
    from tui.slots.pane import Pane


class Help:
    """``pane`` is the active one."""

    def __init__(self, screens: OpensScreens, pane: Callable[[], Pane]) -> None:
        self._screens, self._pane = screens, pane

    def open(self) -> None:
        """Show it."""
        from tui.dialogs.help import HelpScreen

        pane = self._pane()
        slot = pane.slot
        assert slot.place is not None
        heading = f"{slot.place.number} {slot.place.title}"
        screen = HelpScreen(slot.name, heading, slot.about, pane.lines_in_full())
        self._screens.push_screen(screen)
