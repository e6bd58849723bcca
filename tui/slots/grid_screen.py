"""A screen that is a grid with what is under its cursor below it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.widget import Widget

from tui.session.state import State
from tui.slots.screen import SlotScreen
from tui.slots.spec import Slot
from tui.widgets.grid_data import GridData
from tui.widgets.heat_grid import HeatGrid
from tui.widgets.line import Line
from tui.widgets.message import MessageLine

if TYPE_CHECKING:
    from interpboard.results import Result
    from tui.controllers.controllers import Controllers


class GridScreen(SlotScreen):
    """Title, grid, the cell, its row, footer. ``of`` is the result on the screen."""

    DEFAULT_CSS = """
    GridScreen { background: $background; layout: vertical; }
    GridScreen HeatGrid { height: 1fr; }
    """

    def __init__(self, slot: Slot, host: Controllers) -> None:
        super().__init__(slot, host)
        self.grid = HeatGrid(self.refresh_cell, id=f"{self.place}-grid")
        self.of: Result | None = None

    @property
    def searched(self) -> HeatGrid:
        """Its rows and its columns."""
        return self.grid

    def data(self, result: Result) -> GridData:
        """What the grid shows of ``result``."""
        raise NotImplementedError

    def cursor_in(self, result: Result) -> tuple[int, int] | None:
        """Where the cursor goes in a new result, before it is ``of``; None: where it is."""
        raise NotImplementedError

    def details(self) -> Text:
        """What there is to say of the cursor's row."""
        raise NotImplementedError

    def above_grid(self) -> Iterable[Widget]:
        """What stands between title and grid."""
        return ()

    def compose(self) -> ComposeResult:
        """The lines and the grid."""
        yield Line(id=f"{self.place}-title")
        yield from self.above_grid()
        yield self.grid
        yield Line(id=f"{self.place}-readout")
        yield Line(id=f"{self.place}-details")
        yield MessageLine()
        yield Line(id=f"{self.place}-footer")

    def on_mount(self) -> None:
        """What is known already, and the rest of it asked for."""
        self.grid.focus()
        self.host.session.ensure(self.place)
        self.show(self.host.state)

    def show(self, state: State) -> None:
        """Show a snapshot."""
        if not self.composed:
            return
        result = state.slots[self.place].result
        if result is not None and result is not self.of:
            cursor, self.of = self.cursor_in(result), result
            self.grid.show(self.data(result), cursor)
        self.line("title").set(self.title_line(state, self.of))
        cancel, busy = f"{self.place}_cancel", bool(state.busy)
        self.line("footer").set(self.hints("" if busy else cancel, cancel if busy else ""))
        self.refresh_cell()

    def line(self, part: str) -> Line:
        """The line called ``part``."""
        return self.query_one(f"#{self.place}-{part}", Line)

    def refresh_cell(self) -> None:
        """The cursor has moved, or there is another result."""
        self.line("readout").set(self.readout())
        self.line("details").set(self.details())
