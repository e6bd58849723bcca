"""Searching what is shown: in the active pane, or in the screen that is over the panes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tui.commands.command import keyed
from tui.widgets.cells import Search

if TYPE_CHECKING:
    from tui.controllers.notify import Tell
    from tui.controllers.ports import OpensScreens
    from tui.widgets.cells import Searched


NOTHING = "There is nothing to search here."


class Find:
    """``searched`` is what has the cursor now. The last query is gone on with in any pane."""

    def __init__(
        self, screens: OpensScreens, searched: Callable[[], Searched | None], tell: Tell
    ) -> None:
        self._screens, self._searched, self._tell = screens, searched, tell
        self.query = ""

    def ask(self) -> None:
        """Open the line to type in."""
        from tui.dialogs.find import FindLine

        view = self._searched()
        if view is None:
            self._tell(NOTHING)
        else:
            self._screens.push_screen(FindLine(Search(view), self._keep))

    def step(self, by: int) -> None:
        """The next place that fits the last query, or the one before."""
        from tui.dialogs.find import FoundLine

        view = self._searched()
        if view is None:
            self._tell(NOTHING)
        elif self.query:
            self._screens.push_screen(FoundLine(Search(view, self.query), by))
        else:
            self._tell(keyed("Nothing was searched for yet: {key:find} searches."))

    def _keep(self, query: str) -> None:
        self.query = query
