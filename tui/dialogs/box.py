"""A box over the panes: q, backspace and Escape leave it, unless a text field needs the letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from textual.screen import ModalScreen
from textual.widget import Widget

from tui.terminal.behind import Over
from tui.terminal.left_early import LeftEarly
from tui.terminal.timers import SureTimers

if TYPE_CHECKING:
    from tui.session.state import State

_R = TypeVar("_R")


class Live:
    """A screen over the panes that shows the state; the app gives it each new snapshot."""

    def show(self, state: State) -> None:
        """Show a snapshot."""
        raise NotImplementedError

    @property
    def composed(self) -> bool:
        """Has it anything to show on? A screen that is left as soon as it opens never has."""
        return isinstance(self, Widget) and bool(self.children)


class Box(LeftEarly, SureTimers, Over, ModalScreen[_R], Generic[_R]):
    """Base of the screens over the panes."""

    BINDINGS = [("escape", "leave", "Back")]  # noqa: RUF012
    DEFAULT_CSS = """
    Box { align: center middle; }
    Box > .box {
        border: round $accent; background: $background; border-title-color: $accent;
        width: 76; max-width: 100%; height: auto; max-height: 90%; padding: 0 1;
    }
    Box .box Line { background: $background; }
    Box Input { background: $background; border: none; height: 1; padding: 0; }
    """

    def action_leave(self) -> None:
        """Leave without an answer."""
        self.dismiss(None)
