"""A whole screen over the panes: the saved runs, and those of slots that have no pane."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from rich.text import Text
from textual.screen import ModalScreen

from tui.commands.app import FIND
from tui.commands.command import Command, bindings, commands
from tui.terminal.left_early import LeftEarly
from tui.terminal.timers import SureTimers
from tui.theme import Inks, inks
from tui.widgets import lines

R = TypeVar("R")


class OverPanes(LeftEarly, SureTimers, ModalScreen[R], Generic[R]):
    """``place`` names it in the table of commands, ``heading`` to people; ``about`` stands in its help."""

    BINDINGS = bindings(FIND)
    place = ""
    heading = ""
    about: tuple[str, ...] = ()

    @property
    def ink(self) -> Inks:
        """The colours in use."""
        return inks(self.app.current_theme.dark)

    def hints(self, without: str = "") -> Text:
        """The footer: every labelled command of its own but the one called ``without``."""
        shown: Iterable[Command] = (c for c in commands(self.place) if "app" not in c.where)
        hints = [lines.hint(c, self.ink) for c in shown if c.label and c.id != without]
        return Text().join(hints)

    def action_leave(self) -> None:
        """Back to the panes; out of the whole view first."""
        if self.has_class("-whole"):
            self.action_whole()
        else:
            self.dismiss(None)

    def action_whole(self) -> None:
        """The view alone, and back."""
        self.toggle_class("-whole")

    def action_help(self) -> None:
        """The keys of this screen."""
        from tui.dialogs.help import HelpScreen

        self.app.push_screen(HelpScreen(self.place, self.heading, self.about))
