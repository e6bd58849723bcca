"""A whole screen over the panes: the saved runs, and those of slots that have no pane."""

from __future__ import annotations

from typing import Generic, TypeVar

from rich.text import Text
from textual.screen import ModalScreen

from tui.commands.app import FIND
from tui.commands.command import Command, bindings, commands, keyed
from tui.terminal.behind import Over
from tui.terminal.left_early import LeftEarly
from tui.terminal.timers import SureTimers
from tui.theme import Inks, inks
from tui.widgets import lines

_R = TypeVar("_R")


def _important(command: Command) -> bool:
    return command.id.endswith(("_help", "_export", "_leave"))


class OverPanes(LeftEarly, SureTimers, Over, ModalScreen[_R], Generic[_R]):
    """``place`` names it in the table of commands, ``heading`` to people; ``about`` stands in its help.

    In both, ``{key:id}`` is the key in use.
    """

    BINDINGS = bindings(FIND)
    place = ""
    heading = ""
    about: tuple[str, ...] = ()

    @property
    def ink(self) -> Inks:
        """The colours in use."""
        return inks(self.app.current_theme.dark)

    @property
    def shown_heading(self) -> str:
        """Its name with the key that opens it."""
        return keyed(self.heading)

    def hints(self, without: str = "", first: str = "") -> Text:
        """The footer: ``first`` or the first command, help, export, the way back, then others with a name."""
        of_screen = (each for each in commands(self.place) if "app" not in each.where)
        labelled = [each for each in of_screen if each.label and each.id != without]
        first = first or labelled[0].id
        by_importance = sorted(labelled, key=lambda each: (each.id != first, not _important(each)))
        return lines.footer(by_importance, self.ink, self.app.size.width)

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

        self.app.push_screen(HelpScreen(self.place, self.shown_heading, self.about))
