"""Searching what is shown: in the active pane, or in the screen that is over the panes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tui.commands.command import keyed
from tui.widgets.cells import Search

if TYPE_CHECKING:
    from tui.controllers.notify import Tell
    from tui.controllers.screens import Screens
    from tui.slots.pane import Pane
    from tui.widgets.cells import Searched


NOTHING = "There is nothing to search here."


class Find:
    """``pane`` is the active one; ``look_up`` asks what a search in it looks through beside what is shown.
    The last query is gone on with in any pane."""

    def __init__(
        self,
        screens: Screens,
        pane: Callable[[], Pane],
        look_up: Callable[[Sequence[str]], None],
        tell: Tell,
    ) -> None:
        self._screens, self._pane, self._look_up, self._tell = screens, pane, look_up, tell
        self.query = ""

    def _searched(self) -> Searched | None:
        """What has the cursor: the screen over the panes, if it can be searched, or the active pane."""
        over = self._screens.over
        if over is not None:
            return getattr(over, "searched", None)
        pane = self._pane()
        return pane.shown_in_place or pane.searched

    def ask(self) -> None:
        """Open the line to type in."""
        from tui.dialogs.find import FindLine

        view = self._searched()
        if view is None:
            self._tell(NOTHING)
        else:
            if self._screens.over is None and self._pane().asked_by_search:
                self._look_up(self._pane().asked_by_search)
            self._screens.push(FindLine(Search(view), self._keep))

    def step(self, by: int) -> None:
        """The next place that fits the last query, or the one before."""
        from tui.dialogs.find import FoundLine

        view = self._searched()
        if view is None:
            self._tell(NOTHING)
        elif self.query:
            self._screens.push(FoundLine(Search(view, self.query), by))
        else:
            self._tell(keyed("Nothing was searched for yet: {key:find} searches."))

    def _keep(self, query: str) -> None:
        self.query = query
