"""A whole screen over the panes: Runs, and those of a slot that has no pane."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, TypeVar

from rich.text import Text
from textual.screen import ModalScreen

from tui import keys
from tui.keys import Command
from tui.screens.base import Live
from tui.theme import Inks, inks
from tui.timers import SureTimers
from tui.widgets import lines

if TYPE_CHECKING:
    from tui.app import InterpBoardApp

R = TypeVar("R")


class OverPanes(SureTimers, ModalScreen[R], Generic[R]):
    """``place`` names it in the table of commands, ``heading`` to people."""

    place = ""
    heading = ""

    @property
    def me(self) -> InterpBoardApp:
        """The app, by its type."""
        return self.app  # type: ignore[return-value]

    @property
    def ink(self) -> Inks:
        """The colours in use."""
        return inks(self.app.current_theme.dark)

    def hints(self, without: str = "") -> Text:
        """The footer: every labelled command but the one called ``without``."""
        shown: Iterable[Command] = keys.commands(self.place)
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
        from tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.place, self.heading))


class SlotScreen(Live, OverPanes[None]):
    """A screen of the slot that is called as its place."""

    def readout(self) -> Text:
        """What is under the cursor."""
        raise NotImplementedError

    async def action_yank(self) -> None:
        """Copy the readout."""
        await self.me.copy_text(self.readout().plain.strip())

    async def action_yank_view(self) -> None:
        """Copy the result as markdown."""
        from tui import exporting

        document = self.me.state.document([self.place])
        await self.me.copy_text(exporting.render(document, "md") if document is not None else "")

    async def action_code(self) -> None:
        """Copy the lines that make the result again."""
        await self.me.copy_code(self.place)

    def action_export(self) -> None:
        """Ask how and where, then write."""
        self.me.export(self.place)

    def action_cancel(self) -> None:
        """Cancel what runs."""
        self.me.action_cancel()
