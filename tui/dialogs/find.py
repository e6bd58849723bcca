"""The line in which a search is typed, or gone on with: the cursor moves behind it at each key."""

from __future__ import annotations

from collections.abc import Callable

from textual import events

from tui.commands.command import command, first_key
from tui.dialogs.line_over import LineOver
from tui.session.state import State
from tui.widgets.cells import Search
from tui.widgets.text_field import pasted


class FindLine(LineOver):
    """Type to search; ``kept`` is told what was searched for, however the line is left."""

    sign = "/"

    def __init__(self, search: Search, kept: Callable[[str], None]) -> None:
        super().__init__()
        self.search, self.kept = search, kept

    def again(self) -> None:
        """To the first place that fits."""
        self.search.typed(self.typed)
        if self.typed:
            self.kept(self.typed)

    def takes(self, event: events.Key) -> bool:
        """Everything that is written."""
        return event.is_printable

    def steps(self, event: events.Key) -> bool:
        """Up and down go on without leaving the line."""
        by = {"down": 1, "ctrl+n": 1, "up": -1, "ctrl+p": -1}.get(event.key, 0)
        if by:
            self.search.step(by)
            self.draw()
        return bool(by)

    def on_paste(self, event: events.Paste) -> None:
        """A word from elsewhere."""
        event.stop()
        self._write(pasted(event.text).replace("\n", " "))

    def show(self, state: State) -> None:
        """What is searched may have come only now."""
        super().show(state)
        if self.typed and not self.search.found:
            self.again()
            self.draw()

    def said(self) -> tuple[str, bool]:
        """How many there are, or that there is nothing."""
        return self.search.said, bool(self.typed) and not self.search.found

    def hint(self) -> str:
        """The keys."""
        return "↓ ↑ next, before   Enter keeps   Esc goes back"

    def back(self) -> None:
        """The cursor returns."""
        self.search.back()


class FoundLine(LineOver):
    """A search gone on with: the keys for the next and the one before, any other acts as always."""

    sign = "/"

    def __init__(self, search: Search, by: int) -> None:
        super().__init__(search.query)
        self.search = search
        search.step(by)

    def takes(self, event: events.Key) -> bool:
        """Nothing is typed here."""
        return False

    def steps(self, event: events.Key) -> bool:
        """The next, and the one before."""
        for id, by in (("find_next", 1), ("find_previous", -1)):
            if event.key in command(id).keys.split(","):
                self.search.step(by)
                self.draw()
                return True
        return False

    def said(self) -> tuple[str, bool]:
        """Which of how many."""
        return self.search.said, not self.search.found

    def hint(self) -> str:
        """The keys."""
        onward, back = map(first_key, ("find_next", "find_previous"))
        return f"{onward} next   {back} before   Enter keeps   Esc goes back"

    def back(self) -> None:
        """The cursor returns to where it was before the first step."""
        self.search.back()
