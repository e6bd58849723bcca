"""A whole screen over the panes: Runs, and those of a slot that has no pane."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, TypeVar

from rich.style import Style
from rich.text import Text
from textual.screen import ModalScreen

from interpboard.display import visible
from tui import words
from tui.commands import table as keys
from tui.commands.table import Command
from tui.dialogs.box import Live
from tui.session.state import State
from tui.terminal.timers import SureTimers
from tui.theme import Inks, inks
from tui.widgets import lines

if TYPE_CHECKING:
    from interpboard.results import Result
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
        from tui.dialogs.help import HelpScreen

        self.app.push_screen(HelpScreen(self.place, self.heading))


class SlotScreen(Live, OverPanes[None]):
    """A screen of the slot that is called as its place."""

    def readout(self) -> Text:
        """What is under the cursor."""
        raise NotImplementedError

    def title_line(self, state: State, result: Result | None) -> Text:
        """What the screen is of, then what went wrong, is out of date, or runs."""
        ink, slot = self.ink, state.slots[self.place]
        text = Text.assemble((f" {self.heading}", Style(color=ink.accent, bold=True)))
        if result is not None:
            text.append(f"  {self.metric(result)}", ink.text)
        text.append(" │ ", ink.frame)
        if slot.job is None and slot.failure:
            return text.append(visible(slot.failure), ink.warning)
        if slot.job is None and result is not None and state.stale(self.place):
            return text.append("an older question", ink.warning)
        return text.append_text(lines.now(state, ink))

    def metric(self, result: Result) -> str:
        """What the values are of."""
        return words.metric_name(result.metric)

    async def action_yank(self) -> None:
        """Copy the readout."""
        await self.me.copy_text(self.readout().plain.strip())

    async def action_yank_view(self) -> None:
        """Copy the result as markdown."""
        from tui.files import export as exporting

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
