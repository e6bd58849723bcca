"""A screen over the panes of a slot that has no pane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from interpboard.display import visible
from tui import words
from tui.dialogs.box import Live
from tui.dialogs.over_panes import OverPanes
from tui.session.note_subjects import noted_in
from tui.session.state import State
from tui.slots.pane_title import CLEAN_RUN
from tui.slots.spec import Slot
from tui.widgets import lines

if TYPE_CHECKING:
    from interpboard.results import Result
    from tui.controllers.controllers import Controllers
    from tui.widgets.cells import Searched


class SlotScreen(Live, OverPanes[None]):
    """Base of those screens. ``host`` is the app that it is on."""

    def __init__(self, slot: Slot, host: Controllers) -> None:
        super().__init__()
        self.slot, self.host = slot, host
        self.place, self.about = slot.name, slot.about

    def readout(self) -> Text:
        """What is under the cursor."""
        raise NotImplementedError

    @property
    def searched(self) -> Searched:
        """What a search looks through."""
        raise NotImplementedError

    def title_line(self, state: State, result: Result | None) -> Text:
        """What the screen is of, then what went wrong, is out of date, or runs."""
        ink, slot = self.ink, state.slots[self.place]
        text = Text.assemble((f" {self.shown_heading}", Style(color=ink.accent, bold=True)))
        if result is not None:
            said = (self.metric(result), words.factor(self.exponent))
            text.append("".join(f"  {each}" for each in said if each), ink.text)
            if state.interventions.text:
                text.append(f"  {CLEAN_RUN}", ink.warning)
            noted = noted_in(state, self.place)
            text.append(f"  {noted}" if noted else "", ink.accent)
        text.append(" │ ", ink.frame)
        if slot.job is None and slot.failure:
            return text.append(visible(slot.failure), ink.warning)
        if result is not None and self.slot.stale(state):
            text.append("an older question", ink.warning)
            if slot.job is None:
                return text
            text.append(" │ ", ink.frame)
        return text.append_text(lines.now(state, ink))

    @property
    def exponent(self) -> int:
        """The power of ten that the numbers of its grid share."""
        return 0

    def metric(self, result: Result) -> str:
        """What the values are of."""
        return words.metric_name(result.metric)

    async def action_yank(self) -> None:
        """Copy the readout."""
        await self.host.export.copy(self.readout().plain.strip())

    async def action_yank_view(self) -> None:
        """Copy the result as markdown."""
        await self.host.export.yank_slot(self.slot)

    async def action_code(self) -> None:
        """Copy the lines that make the result again."""
        await self.host.export.copy_code(self.slot)

    def action_export(self) -> None:
        """Ask how and where, then write."""
        self.host.export.choose_format(self.slot)

    def action_cancel(self) -> None:
        """Cancel what runs."""
        self.host.cancel()
