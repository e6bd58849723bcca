"""Tokens: which tokens of the prompt mattered, painted on the prompt's own text."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual.widget import Widget

from interpboard.display import fit, visible_token
from tui import keys, words
from tui.panes.base import Pane, Select
from tui.widgets.bars import Bar, Bars
from tui.widgets.token_strip import TokenStrip


class TokensPane(Pane):
    """Integrated gradients of the metric, one signed score a token."""

    number, title, slot = 1, "Tokens", "tokens"
    BINDINGS = keys.bindings("tokens")

    def __init__(self, select: Select) -> None:
        super().__init__(select)
        self.strip = TokenStrip(self._moved, id="strip")
        self.ranking = Bars(id="strongest-tokens", pad=1)
        self._shown: object = None

    def body(self) -> Iterable[Widget]:
        """The text, and below it the strongest tokens."""
        return (self.strip, self.ranking)

    @property
    def position(self) -> int:
        """The token under the cursor."""
        return self.strip.cursor

    def fill(self) -> None:
        """Paint the tokens."""
        result, prompt = self.data.result, self.data.prompt
        if result is None or prompt is None or result is self._shown:
            if result is None:
                self._shown = None
                self.strip.show((), (), None, -1)
                self.ranking.show(())
            return
        from interpboard.visualization.colors import Scale

        first = self._shown is None
        self._shown = result
        at = result.metric.position
        cursor = at if first else min(self.strip.cursor, len(prompt.tokens) - 1)
        scores = [float(value) for value in result.values]
        scale = Scale.of(result.values, diverging=True)
        self.strip.show(prompt.tokens, scores, scale, at, cursor)
        order = sorted(range(len(scores)), key=lambda i: -abs(scores[i]))
        bars = [
            Bar(
                f"{i:>3} {fit(visible_token(prompt.tokens[i]), 14)}",
                words.signed(scores[i]),
                scores[i] / scale.limit,
            )
            for i in order[:50]
        ]
        self.ranking.show(bars, "strongest first")

    def subtitle(self) -> str:
        """The method and what it explains."""
        result = self.data.result
        if result is None:
            return "integrated gradients"
        return f"integrated gradients of {words.metric_name(result.metric)}"

    def readout(self) -> Text:
        """The token under the cursor and its score."""
        result, prompt, at = self.data.result, self.data.prompt, self.strip.cursor
        if result is None or prompt is None or at >= len(prompt.tokens):
            return Text()
        value = float(result.values[at])
        total = float(abs(result.values).sum())
        rank = 1 + int((abs(result.values) > abs(value)).sum())
        text = Text.assemble(
            (f" {at} ", self.ink("muted")),
            (visible_token(prompt.tokens[at]), self.ink("text", bold=True)),
            (f"  {words.signed(value)}", self.ink("accent", bold=True)),
            (f"  {words.percent(abs(value) / total if total else 0.0)} of all", self.ink("text")),
            (f"  rank {rank}/{len(result.values)}", self.ink("text")),
        )
        if at == result.metric.position:
            text.append("  explained here", self.ink("muted"))
        return text

    def legend(self) -> Text:
        """Scale, sign, and the completeness error: the one thing here that is not exact."""
        result = self.data.result
        if result is None:
            return Text()
        from interpboard.visualization.colors import Scale

        limit = Scale.of(result.values, diverging=True).limit
        text = self.swatch(-limit, limit, True)
        text.append("− lowers, + raises", self.ink("text"))
        delta = words.scalar(result.extra.get("delta"))
        if delta is not None:
            style = self.ink("warning" if result.warnings else "muted")
            text.append(f"  completeness error {words.signed(delta)}", style)
        return text

    def _moved(self) -> None:
        self.select(token=self.strip.cursor)
        self.refresh_readout()
