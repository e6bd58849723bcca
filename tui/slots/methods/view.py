"""Every attribution of the prompt, row by row: do they agree?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult

from interpboard.display import fit, visible_token
from tui import words
from tui.commands.command import bindings
from tui.scales import analysis_scale, value_words
from tui.session.state import State
from tui.slots.methods.keys import KEYS
from tui.slots.screen import SlotScreen
from tui.slots.spec import Slot
from tui.widgets.grid_data import GridData
from tui.widgets.heat_grid import HeatGrid
from tui.widgets.line import Line
from tui.widgets.message import MessageLine

if TYPE_CHECKING:
    from interpboard.results import Result
    from tui.controllers.controllers import Controllers


class MethodsScreen(SlotScreen):
    """Methods down, tokens across; a row is in shares of its largest score."""

    heading = "V Methods"
    BINDINGS = bindings(KEYS)
    DEFAULT_CSS = """
    MethodsScreen { background: $background; layout: vertical; }
    #methods-grid { height: 1fr; }
    """

    def __init__(self, slot: Slot, host: Controllers) -> None:
        super().__init__(slot, host)
        self.grid = HeatGrid(self._moved, id="methods-grid")
        self.of: Result | None = None

    def compose(self) -> ComposeResult:
        """Title, grid, the cell, what the shares mean, footer."""
        yield Line(id="methods-title")
        yield self.grid
        yield Line(id="methods-readout")
        yield Line(id="methods-details")
        yield MessageLine()
        yield Line(id="methods-footer")

    def on_mount(self) -> None:
        """What is known already, and the rest of it asked for."""
        self.grid.focus()
        self.host.session.ensure(self.place)
        self.show(self.host.state)

    def show(self, state: State) -> None:
        """Show a snapshot."""
        if not self.composed:
            return
        result, prompt = state.slots[self.place].result, state.slots[self.place].prompt
        if result is not None and prompt is not None and result is not self.of:
            from interpboard.visualization.colors import Scale

            first, self.of = self.of is None, result
            methods = result.axes[0].labels
            now = state.analyses.get("tokens", "integrated_gradients")
            row = methods.index(now) if now in methods else 0
            data = GridData(
                rows=tuple(fit(name.replace("_", " "), 22) for name in methods),
                columns=tuple(visible_token(token) for token in prompt.tokens),
                values=result.values,
                scale=Scale(1.0),
            )
            self.grid.show(data, (row, result.metric.position) if first else None)
        self.query_one("#methods-title", Line).set(self.title_line(state, self.of))
        self.query_one("#methods-footer", Line).set(self.hints())
        self._cell()

    def _cell(self) -> None:
        self.query_one("#methods-readout", Line).set(self.readout())
        self.query_one("#methods-details", Line).set(self.details())

    @property
    def method(self) -> str | None:
        """The method under the cursor."""
        return None if self.of is None else str(self.of.axes[0].labels[self.grid.cursor[0]])

    @property
    def exponent(self) -> int:
        """Of the grid."""
        return self.grid.exponent

    @property
    def searched(self) -> HeatGrid:
        """The rows and the tokens."""
        return self.grid

    def readout(self) -> Text:
        """The cell: the method's own number, and its rank among the tokens."""
        if self.of is None:
            return Text()
        row, at = self.grid.cursor
        scores, ink = self.of.extra["scores"].values[row], self.ink
        own = analysis_scale(str(self.method), {}, scores)  # not every method has a sign
        rank = 1 + int((abs(scores) > abs(scores[at])).sum())
        token = visible_token(self.of.axes[1].labels[at])
        return Text.assemble(
            (f" {self.method}", Style(color=ink.text, bold=True)),
            (f"  {at} {token}", ink.text),
            (f"  {value_words(float(scores[at]), own)}", Style(color=ink.accent, bold=True)),
            (f"  {words.fraction(float(self.of.values[row, at]))} of its largest", ink.text),
            (f"  rank {rank}/{len(scores)}", ink.text),
        )

    def details(self) -> Text:
        """How far the method ranks the tokens as the others do."""
        if self.of is None:
            return Text()
        agreement = self.of.extra["rank_agreement"].values[self.grid.cursor[0]]
        named = [
            (float(value), name)
            for value, name in zip(agreement, self.of.axes[0].labels, strict=True)
            if name != self.method
        ]
        if not named:
            return Text()
        least, most = min(named), max(named)
        said = (
            f" ranks tokens most like {most[1]} ({words.signed(most[0], 2)}), least like {least[1]}"
        )
        said += f" ({words.signed(least[0], 2)})"
        left = f"; left out: {len(self.of.warnings)}, see the export" if self.of.warnings else ""
        return Text(said.replace("_", " ") + left, self.ink.muted)

    # -- what keys do -----------------------------------------------------------------------------

    def _moved(self) -> None:
        self._cell()

    def action_choose(self) -> None:
        """Paint Tokens with the method under the cursor, and go there."""
        if self.method is not None:
            self.host.session.set_analysis("tokens", self.method)
            self.dismiss(None)
            self.host.panes.go("tokens")
