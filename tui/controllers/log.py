"""The log: every message, and the engine's last lines; what a dead engine took along can be run again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.controllers.notify import Messages
    from tui.controllers.ports import OpensScreens
    from tui.session.session import Session


class Log:
    """``run`` runs what the prompt says, or what was lost."""

    def __init__(
        self, session: Session, messages: Messages, screens: OpensScreens, run: Callable[[], None]
    ) -> None:
        self._session, self._messages = session, messages
        self._screens, self._run = screens, run

    def open(self) -> None:
        """Show it."""
        from tui.dialogs.log import LogScreen
        from tui.widgets.lines import under_way

        def left(again: bool | None) -> None:
            if again:
                self._run()

        state, messages = self._session.state, tuple(self._messages.said)
        screen = LogScreen(state.engine, messages, under_way(state))
        self._screens.push_screen(screen, left)
