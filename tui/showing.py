"""What follows a change of state: all show it at once; what the engine says amid keys a pane a turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tui.dialogs.box import Live
from tui.session.state import State

if TYPE_CHECKING:
    from tui.app import InterpBoardApp


class Showing:
    """The panes, the lines around them and the screen over them follow the session."""

    def __init__(self, app: InterpBoardApp) -> None:
        self._app = app
        self._unshown: set[str] = set()  # names of what is shown in turns

    def changed(self, names: set[str]) -> None:
        """Everything at once."""
        app = self._app
        if not app.is_running:
            return
        app.turns.stop()
        names, self._unshown = names | self._unshown, set()
        shown = app.controllers.changed(app.state)
        with app.batch_update():
            app.panes.show(shown, names)
            self._around()

    def heard(self, names: set[str]) -> None:
        """Of the engine, of what is asked already: while somebody types a pane a turn shows it."""
        app = self._app
        if "question" in names or not app.is_running or not app.turns.typing:
            self.changed(names)
            return
        self._unshown |= names
        shown = app.controllers.changed(app.state)
        app.turns.go(self._in_turns(shown, self._unshown))

    def _in_turns(self, shown: State, names: set[str]) -> Iterator[None]:
        panes = self._app.panes.show_each(shown, names)
        while self._app.is_running and next(panes, self) is not self:
            yield
        if not self._app.is_running:  # it was left in between, and panes are gone
            return
        self._unshown = set()
        self._around()

    def _around(self) -> None:
        self._app.show_frame()
        if isinstance(self._app.screen, Live):
            self._app.screen.show(self._app.state)
