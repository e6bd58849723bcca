"""Which experts a token goes to, layer by layer, and which of them are switched off."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.widget import Widget

from interpboard.display import visible_token
from interpboard.registry.component_names import expert_label, layer_name
from tui import scales, words
from tui.commands.command import bindings
from tui.session.state import State
from tui.slots.at_cursor import AtCursor
from tui.slots.experts.keys import KEYS
from tui.slots.grid_screen import GridScreen
from tui.slots.spec import Slot
from tui.widgets.grid_data import GridData
from tui.widgets.line import Line

if TYPE_CHECKING:
    import numpy as np

    from interpboard.results import Result
    from tui.controllers.controllers import Controllers


class ExpertsScreen(GridScreen):
    """Layers down, experts across; the weights of one token at a time."""

    heading = "Experts"
    BINDINGS = bindings(KEYS)

    def __init__(self, slot: Slot, host: Controllers) -> None:
        super().__init__(slot, host)
        self.token = 0  # whose weights are shown

    def above_grid(self) -> Iterable[Widget]:
        """The prompt, in which the token stands out."""
        return (Line(id="experts-prompt"),)

    def data(self, result: Result) -> GridData:
        """Weights [layer, expert] of the token, coloured on one scale for all tokens."""
        return GridData(
            rows=tuple(map(layer_name, result.axes[0].labels)),
            columns=tuple(f"E{label}" for label in result.axes[2].labels),
            values=self._weights(result),
            scale=scales.analysis_scale(result.analysis, result.params, result.values),
            off=self._switched_off(result),
        )

    def cursor_in(self, result: Result) -> tuple[int, int]:
        """The token that is selected, or the explained one; and the expert it mostly goes to."""
        chosen = self.host.state.selection.token
        tokens = len(result.axes[1].labels)
        self.token = chosen if chosen is not None and 0 <= chosen < tokens else _explained(result)
        return _heaviest(self._weights(result))

    def show(self, state: State) -> None:
        """Also what was switched since."""
        super().show(state)
        shown = self.grid.data
        if self.of is not None and shown is not None and shown.off != self._switched_off(self.of):
            self._redraw(self.of)

    def _redraw(self, result: Result) -> None:
        self.grid.show(self.data(result), self.grid.cursor)
        self.refresh_cell()

    def _weights(self, result: Result) -> np.ndarray:
        return result.values[:, self.token]

    def _switched_off(self, result: Result) -> frozenset[tuple[int, int]]:
        """Cells with an intervention for every token, on the expert or on all of its layer."""
        places = {place for item in self.host.state.interventions.on for place in item.places}
        layers, _, experts = (axis.labels for axis in result.axes)
        return frozenset(
            (row, column)
            for row, layer in enumerate(layers)
            for column, expert in enumerate(experts)
            if places & {_place(layer, expert), f"{layer}.router"}
        )

    @property
    def exponent(self) -> int:
        """Of the grid."""
        return self.grid.exponent

    def metric(self, result: Result) -> str:
        """Weights are of no metric."""
        return "weight of each expert"

    def refresh_cell(self) -> None:
        """The prompt too."""
        super().refresh_cell()
        self.line("prompt").set(self._prompt())

    def _prompt(self) -> Text:
        """As much of the prompt as there is room for, the token in sight."""
        if self.of is None:
            return Text()
        ink, tokens = self.ink, [visible_token(each) for each in self.of.axes[1].labels]
        begin, room = 0, self.app.size.width - 3
        while begin < self.token and cell_len("".join(tokens[begin : self.token + 1])) > room:
            begin += 1
        text = Text(" " + "…" * (begin > 0), ink.muted)
        for at, token in enumerate(tokens[begin:], begin):
            here = at == self.token
            text.append(token, Style(color=ink.accent if here else ink.muted, bold=here))
        return text

    @property
    def expert(self) -> tuple[str, str] | None:
        """The names of the layer and the expert under the cursor."""
        if self.of is None:
            return None
        row, column = self.grid.cursor
        return self.of.axes[0].labels[row], self.of.axes[2].labels[column]

    def readout(self) -> Text:
        """The weight that the token gives the expert, its rank, and how much of the prompt goes there."""
        if self.of is None or self.expert is None:
            return Text()
        (row, column), ink = self.grid.cursor, self.ink
        weights = self._weights(self.of)[row]
        value = float(weights[column])
        token = visible_token(self.of.axes[1].labels[self.token])
        text = Text.assemble(
            (f" {expert_label(*self.expert)}", Style(color=ink.text, bold=True)),
            (f"  {self.token} {words.shorten(token)}", ink.text),
        )
        if value != value:
            return text.append("  the layer has no such expert", ink.muted)
        off = "  off" if self.grid.cursor in self._switched_off(self.of) else ""
        if value == 0:
            text.append("  0", Style(color=ink.accent, bold=True))
            return text.append(" the token does not go there", ink.muted).append(off, ink.warning)
        used = abs(weights[weights == weights])
        rank = 1 + int((used > abs(value)).sum())
        text.append(f"  {words.unsigned(value)}", Style(color=ink.accent, bold=True))
        text.append(f"  rank {rank}/{int((used > 0).sum())}  exact", ink.muted)
        return text.append(off, ink.warning)

    def details(self) -> Text:
        """How many tokens go to the expert, its share of the layer, how the token divides itself."""
        if self.of is None:
            return Text()
        row, column = self.grid.cursor
        tokens = float(self.of.extra["tokens"].values[row, column])
        if tokens != tokens:
            return Text()
        share = float(self.of.extra["share"].values[row, column])
        entropy = float(self.of.extra["entropy"].values[row, self.token])
        many = len(self.of.axes[1].labels)
        said = f" {int(tokens)} of {many} tokens go to it, {words.percent(share)} of weight"
        return Text(f"{said}; entropy {words.unsigned(entropy, 2)} nats", self.ink.muted)

    # -- what keys do -----------------------------------------------------------------------------

    def action_step_token(self, by: int) -> None:
        """The weights of another token; the cursor stays."""
        if self.of is not None:
            self.token = max(0, min(len(self.of.axes[1].labels) - 1, self.token + by))
            self._redraw(self.of)

    def action_toggle_expert(self) -> None:
        """Switch the expert off for every token, or on again."""
        if self.of is None or self.expert is None:
            return
        row, column = self.grid.cursor
        tokens, name = (
            float(self.of.extra["tokens"].values[row, column]),
            expert_label(*self.expert),
        )
        if tokens != tokens:
            self.host.tell(f"There is no {name}: the layer has fewer experts.")
            return
        if tokens == 0:
            self.host.tell(f"No token of this prompt goes to {name}: without it nothing changes.")
        self.host.interventions.toggle(AtCursor(_place(*self.expert), "zero"))


def _place(layer: str, expert: str) -> str:
    """As interventions write it, ``2.e5``."""
    return f"{layer}.e{expert}"


def _explained(result: Result) -> int:
    """The position that the question is about."""
    last = len(result.axes[1].labels) - 1
    return result.metric.position if 0 <= result.metric.position <= last else last


def _heaviest(weights: np.ndarray) -> tuple[int, int]:
    """The cell of the largest weight."""
    import numpy as np

    return divmod(int(np.nan_to_num(np.abs(weights), nan=-1.0).argmax()), weights.shape[1])
