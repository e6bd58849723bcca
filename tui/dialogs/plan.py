"""What the analysis of a pane would take, in a box over the panes; nothing behind it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult

from tui.commands.command import bindings, keyed
from tui.commands.places import HELP, MOVES
from tui.dialogs.box import Box
from tui.dialogs.plan_words import PlanSaid
from tui.theme import Inks, inks
from tui.widgets.text_page import TextPage

_NAME = 9  # cells


def plan_page(said: PlanSaid, ink: Inks) -> Text:
    """A row for each number, or the refusal."""
    if not said.rows:
        return Text(said.line, ink.warning if said.refused else ink.text)
    text = Text()
    for name, value in said.rows:
        text.append(f"{name:<{_NAME}}", Style(color=ink.accent, bold=True))
        text.append(f"{value}\n", ink.text)
    text.rstrip()
    return text


class PlanScreen(Box[None]):
    """``ask`` gives the plan; None: nobody answered."""

    BINDINGS = [*bindings(HELP), *bindings(MOVES)]  # noqa: RUF012

    def __init__(self, analysis: str, ask: Callable[[], Awaitable[PlanSaid | None]]) -> None:
        super().__init__()
        self.analysis, self.ask = analysis, ask
        self._asking: asyncio.Task[None] | None = None

    def compose(self) -> ComposeResult:
        """One text."""
        box = TextPage(Text("one moment: a few steps of it are timed"), classes="box")
        box.border_title = Text(f"Plan of {self.analysis}")
        box.border_subtitle = Text(keyed("{key:help_leave} closes"))
        yield box

    def on_mount(self) -> None:
        """Ask."""
        self._asking = asyncio.create_task(self._asked())

    async def _asked(self) -> None:
        said = await self.ask() or PlanSaid("the engine gave no answer", refused=True)
        if self.is_attached:
            self.query_one(TextPage).set(plan_page(said, inks(self.app.current_theme.dark)))

    async def settled(self) -> None:
        """Wait until the answer is shown."""
        if self._asking is not None:
            await self._asking

    def action_move(self, direction: str) -> None:
        """Scroll."""
        self.query_one(TextPage).scroll_by_key(direction)
