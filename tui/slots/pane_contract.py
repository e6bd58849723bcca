"""What a pane is asked by its frame, the commands and the other panes: a view overrides what it can do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import ClassVar

from rich.text import Text
from textual.widget import Widget

from tui.commands.command import keyed
from tui.session.selection import Selection
from tui.session.state import Answer, Question, State
from tui.slots.at_cursor import AtCursor, Predicted
from tui.slots.framed_box import FramedBox
from tui.slots.spec import Slot

Select = Callable[..., None]


class PaneContract(FramedBox, can_focus=False):
    """Subclasses compose a body and say the lines around it in words; none of this draws."""

    slot: Slot
    detailed: ClassVar[bool] = False  # a second line of readout
    of_heads: ClassVar[bool] = False  # does it show which head is selected?
    noted_kinds: ClassVar[tuple[str, ...]] = ()  # the parts whose notes its title names
    asked_by_search: ClassVar[tuple[str, ...]] = ()  # slots that a search in it looks through
    about_prompt: ClassVar[bool] = False  # notes on the prompt are shown in it

    def __init__(self, slot: Slot, select: Select) -> None:
        super().__init__(id=slot.name, classes="pane")
        self.slot, self.select = slot, select
        self.state = State()

    @property
    def data(self) -> Answer:
        """This pane's slot in the state."""
        return self.state.slots[self.slot.name]

    def body(self) -> Iterable[Widget]:
        """The widgets of the body; the first is the one to focus."""
        raise NotImplementedError

    def under_body(self) -> Iterable[Widget]:
        """Lines between the body and the readout."""
        return ()

    def fill(self) -> None:
        """Show ``self.state`` in the body."""
        raise NotImplementedError

    def subtitle(self) -> str:
        """What the title says after the pane's name."""
        return ""

    def readout(self) -> Text:
        """What is under the cursor, in full."""
        raise NotImplementedError

    def details(self) -> Text:
        """The second line of the readout, where there is one."""
        return Text()

    def empty_hint(self) -> str:
        """What to do where there is nothing yet."""
        return keyed("nothing yet: {key:run} runs")

    def legend(self) -> Text:
        """Scale, meaning of the sign, and how exact it is."""
        raise NotImplementedError

    def next_step(self, state: State) -> str:
        """The command that leads on from here; empty: the pane's first one."""
        if state.engine.phase == "failed":
            return "model"
        answer = state.slots[self.slot.name]
        if answer.result is None and answer.job is None and state.engine.phase == "ready":
            return "run"
        return ""

    def cannot(self, state: State) -> Collection[str]:
        """Commands of the pane that can do nothing now: the footer does not offer them."""
        return ()

    @property
    def position(self) -> int | None:
        """The token of the prompt under the cursor, where there is one."""
        return None

    def part(self) -> str:
        """The head, MLP or neuron under the cursor by its name, ``L2 H4``; empty: none is."""
        return ""

    def shows_edited(self) -> bool:
        """Does it show the run with the interventions beside the clean one?"""
        return False

    def of_clean_run(self) -> bool:
        """Are there interventions that its numbers do not know of?"""
        known = self.data.result is not None or self.data.partial is not None
        return known and bool(self.state.interventions.text) and not self.shows_edited()

    def intervention(self) -> AtCursor | None:
        """What stands under the cursor as an intervention; None: nothing that can be one."""
        return None

    def asks_at_cursor(self) -> Question | str | None:
        """The question that the cursor is on, or why it asks none; None: what follows the token there."""
        return None

    def next_view(self) -> None:
        """Show it in the next way."""

    def predicted(self) -> Predicted | None:
        """What the model would predict at the cursor."""
        return None

    def show_predicted(self, predicted: Predicted | None) -> None:
        """Show what the active pane predicts at its cursor; None: nothing."""

    def follow(self, selection: Selection) -> bool:
        """Put the cursor where another pane's is; did it move?"""
        return False

    def slot_under_cursor(self) -> str:
        """The slot of the pane that shows what is under the cursor; empty: nothing opens."""
        return ""

    def cursor_rested(self) -> None:
        """The cursor has come to rest: show what is too much for every key of a run."""

    @property
    def exponent(self) -> int:
        """The power of ten that the numbers of its grid share; the title says it."""
        return 0
