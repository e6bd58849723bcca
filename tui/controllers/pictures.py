"""Pictures of what is on the screen: of one pane, or of all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.controllers.notify import Messages
    from tui.controllers.panes import Panes
    from tui.controllers.ports import Paints


class Pictures:
    """Draws once ``paints`` has painted what was asked before."""

    def __init__(self, paints: Paints, panes: Panes, messages: Messages) -> None:
        self._paints, self._panes, self._messages = paints, panes, messages

    def draw(self, name: str, then: Callable[[str], None]) -> None:
        """The pane called ``name``, or the whole screen, as SVG, once the question is gone from it."""

        def draw_now() -> None:
            from tui.terminal.picture import picture

            self._messages.seen()  # a picture is of results, not of what was said
            of_pane = [pane for pane in self._panes.views if pane.slot.name == name]
            screen = self._paints.screen
            then(picture(screen, of_pane[0].region if of_pane else screen.region))

        self._paints.call_after_refresh(draw_now)
