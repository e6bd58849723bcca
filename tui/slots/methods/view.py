"""Every attribution of the prompt, row by row: do they agree?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from interpboard.display import fit, visible_token
from tui import words
from tui.commands.command import bindings
from tui.scales import analysis_scale, value_words
from tui.slots.grid_screen import GridScreen
from tui.slots.methods.keys import KEYS
from tui.widgets.grid_data import GridData

if TYPE_CHECKING:
    from interpboard.results import Result


class MethodsScreen(GridScreen):
    """Methods down, tokens across; a row is in shares of its largest score."""

    heading = "{key:methods} Methods"
    BINDINGS = bindings(KEYS)

    def data(self, result: Result) -> GridData:
        """Shares [method, token]."""
        from interpboard.visualization.colors import Scale

        return GridData(
            rows=tuple(fit(name.replace("_", " "), 22) for name in result.axes[0].labels),
            columns=tuple(visible_token(token) for token in result.axes[1].labels),
            values=result.values,
            scale=Scale(1.0),
        )

    def cursor_in(self, result: Result) -> tuple[int, int] | None:
        """At first the method that Tokens shows, at the explained token; then it stays."""
        if self.of is not None:
            return None
        methods = result.axes[0].labels
        now = self.host.state.analyses.get("tokens", "integrated_gradients")
        return methods.index(now) if now in methods else 0, result.metric.position

    @property
    def method(self) -> str | None:
        """The method under the cursor."""
        return None if self.of is None else str(self.of.axes[0].labels[self.grid.cursor[0]])

    @property
    def exponent(self) -> int:
        """Of the grid."""
        return self.grid.exponent

    def readout(self) -> Text:
        """The cell: the method's own number, and its rank among the tokens."""
        if self.of is None:
            return Text()
        row, at = self.grid.cursor
        scores, ink = self.of.extra["scores"].values[row], self.ink
        scale = analysis_scale(str(self.method), {}, scores)  # not every method has a sign
        rank = 1 + int((abs(scores) > abs(scores[at])).sum())
        token = visible_token(self.of.axes[1].labels[at])
        return Text.assemble(
            (f" {self.method}", Style(color=ink.text, bold=True)),
            (f"  {at} {token}", ink.text),
            (f"  {value_words(float(scores[at]), scale)}", Style(color=ink.accent, bold=True)),
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

    def action_choose(self) -> None:
        """Paint Tokens with the method under the cursor, and go there."""
        if self.method is not None:
            self.host.session.set_analysis("tokens", self.method)
            self.dismiss(None)
            self.host.panes.go("tokens")
