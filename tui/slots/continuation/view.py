"""What the model writes next, and why: every token of its continuation to all that stood before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult

from interpboard.display import fit, visible_token
from tui import scales, words
from tui.commands.command import bindings
from tui.session.state import State
from tui.slots.continuation.keys import KEYS
from tui.slots.screen import SlotScreen
from tui.slots.spec import Slot
from tui.widgets.grid_data import GridData
from tui.widgets.heat_grid import HeatGrid
from tui.widgets.line import Line
from tui.widgets.message import MessageLine

if TYPE_CHECKING:
    from interpboard.results import Result
    from tui.controllers.controllers import Controllers

LABEL = 16  # columns of a written token, at most


class ContinuationScreen(SlotScreen):
    """Written tokens down, all that stands before them across."""

    heading = "W Writes"
    BINDINGS = bindings(KEYS)
    DEFAULT_CSS = """
    ContinuationScreen { background: $background; layout: vertical; }
    #continuation-grid { height: 1fr; }
    """

    def __init__(self, slot: Slot, host: Controllers) -> None:
        super().__init__(slot, host)
        self.grid = HeatGrid(self._cell, id="continuation-grid")
        self.of: Result | None = None

    def compose(self) -> ComposeResult:
        """Title, what is written, grid, the cell, its row, footer."""
        yield Line(id="continuation-title")
        yield Line(id="continuation-text")
        yield self.grid
        yield Line(id="continuation-readout")
        yield Line(id="continuation-details")
        yield MessageLine()
        yield Line(id="continuation-footer")

    def on_mount(self) -> None:
        """What is known already, or ask for it."""
        self.grid.focus()
        self.host.session.ensure(self.place)
        self.show(self.host.state)

    def show(self, state: State) -> None:
        """Show a snapshot."""
        if not self.composed:
            return
        result = state.slots[self.place].result
        if result is not None and result is not self.of:
            self.of = result
            written, before = result.axes[0].labels, result.axes[1].labels
            labels = [visible_token(token) for token in written]
            width = min(LABEL, max(map(len, labels)))
            data = GridData(
                rows=tuple(fit(label, width) for label in labels),
                columns=tuple(visible_token(token) for token in before),
                values=result.values,
                scale=scales.analysis_scale(result.analysis, result.params, result.values),
                absent=" ",
                row_names=tuple(labels),
            )
            self.grid.show(data, (0, _strongest(result, 0)))
        self.query_one("#continuation-title", Line).set(self.title_line(state, result))
        self.query_one("#continuation-footer", Line).set(self.hints())
        self._cell()

    def _cell(self) -> None:
        self.query_one("#continuation-text", Line).set(self._text())
        self.query_one("#continuation-readout", Line).set(self.readout())
        self.query_one("#continuation-details", Line).set(self.details())

    def _text(self) -> Text:
        """The end of the prompt and what the model adds; the cursor's row stands out."""
        if self.of is None:
            return Text()
        ink, row = self.ink, self.grid.cursor[0]
        written, before = self.of.axes[0].labels, self.of.axes[1].labels
        prompt = before[: len(before) - len(written) + 1]
        said = [visible_token(token) for token in written]
        room = max(8, self.app.size.width - sum(map(len, said)) - 4)
        text = Text(" " + words.shorten_start("".join(map(visible_token, prompt)), room), ink.muted)
        for at, token in enumerate(said):
            text.append(token, Style(color=ink.accent if at == row else ink.text, bold=at == row))
        return text

    @property
    def exponent(self) -> int:
        """Of the grid."""
        return self.grid.exponent

    @property
    def searched(self) -> HeatGrid:
        """The rows and the tokens."""
        return self.grid

    def readout(self) -> Text:
        """The cell: what the earlier token did for the written one, and its rank in the row."""
        if self.of is None:
            return Text()
        (row, at), ink = self.grid.cursor, self.ink
        scores, before = self.of.values[row], self.of.axes[1].labels
        names = [visible_token(token) for token in (self.of.axes[0].labels[row], before[at])]
        text = Text.assemble(
            (f" {fit(names[0], LABEL).rstrip()}", Style(color=ink.text, bold=True)),
            (f"  from {at} {fit(names[1], LABEL).rstrip()}", ink.text),
        )
        known = scores[scores == scores]
        if at >= len(known):
            return text.append("  it comes later", ink.muted)
        rank = 1 + int((abs(known) > abs(scores[at])).sum())
        assert self.grid.data is not None
        score = scales.value_words(float(scores[at]), self.grid.data.scale)
        text.append(f"  {score}", Style(color=ink.accent, bold=True))
        return text.append(f"  rank {rank}/{len(known)}", ink.text)

    def details(self) -> Text:
        """How the tokens are explained, and what is explained in this row."""
        if self.of is None:
            return Text()
        row, name = self.grid.cursor[0], str(self.of.params["method"]).replace("_", " ")
        value = float(self.of.extra["metric"].values[row])
        said = f" {name} of this token's {self.of.metric.name}, {words.unsigned(value, 2)}"
        warned = [warning for warning in self.of.warnings if warning.startswith(f"{row} ")]
        text = Text(said, self.ink.muted)
        return text.append(f"  {warned[0]}", self.ink.warning) if warned else text

    def metric(self, result: Result) -> str:
        """A row has a target of its own."""
        return f"{result.metric.name} of each written token"

    # -- what keys do -----------------------------------------------------------------------------

    def action_method(self) -> None:
        """The next method."""
        from interpboard.registry import find_analysis

        own = next(
            p for p in find_analysis("continuation_attribution").parameters if p.name == "method"
        )
        now = self.host.state.params.get(self.place, {}).get("method", own.default)
        following = own.choices[(own.choices.index(now) + 1) % len(own.choices)]
        self.host.session.set_param(self.place, "method", following)
        self.host.session.ensure(self.place)

    def action_parameters(self) -> None:
        """How many tokens, and how each is explained."""
        self.host.parameters.edit(self.slot)


def _strongest(result: Result, row: int) -> int:
    """The column of the row's largest score."""
    scores = abs(result.values[row])
    return int((scores == scores[scores == scores].max()).argmax())
