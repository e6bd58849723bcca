"""What stands over the panes: opened, asked, and left again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.screen import Screen

    from tui.controllers.ports import StacksScreens


class Screens:
    """``of_slot`` makes the screen of the slot of a name."""

    def __init__(self, stack: StacksScreens, of_slot: Callable[[str], Screen[Any]]) -> None:
        self._stack, self._of_slot = stack, of_slot

    def push(self, screen: Screen[Any], answered: Callable[[Any], Any] | None = None) -> None:
        """Open ``screen``; ``answered`` is called with what it is left with."""
        self._stack.push_screen(screen, answered)

    def input_line(
        self, title: str, hints: tuple[str, ...], value: str, then: Callable[[str], None]
    ) -> None:
        """Ask for a line of text; ``then`` is called with it, unless the question is left."""
        from tui.dialogs.line_input import LineInput, LineInputScreen

        def answered(text: str | None) -> None:
            if text is not None:
                then(text)

        self.push(LineInputScreen(LineInput(title, hints, value)), answered)

    @property
    def over(self) -> Screen[Any] | None:
        """The screen in front, where it is not that of the panes."""
        return self._stack.screen if len(self._stack.screen_stack) > 1 else None

    def uncover(self) -> None:
        """Back to the panes, out of whatever is over them."""
        while self.over is not None:
            self.over.dismiss(None)

    def open(self, name: str) -> None:
        """The screen of a slot."""
        self.push(self._of_slot(name))
