"""Next: what the model predicts, or what the lens reads in the cell under its cursor."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual.widget import Widget

from interpboard.display import visible_token
from tui import words
from tui.panes.base import Pane, Select
from tui.panes.lens import TopList
from tui.widgets.bars import Bar, Bars


class NextPane(Pane):
    """The ten likeliest next tokens with their probabilities; exact."""

    number, title, slot = 4, "Next", "predictions"

    def __init__(self, select: Select) -> None:
        super().__init__(select)
        self.list = Bars(self.refresh_readout, id="next-list")
        self._lens: tuple[str, TopList] | None = None

    def body(self) -> Iterable[Widget]:
        """The list."""
        return (self.list,)

    def show_lens(self, cell: tuple[str, TopList] | None) -> None:
        """Show a cell of the lens instead; None: the model's own predictions again."""
        if cell != self._lens:
            self._lens = cell
            self.fill()
            self.refresh_words()

    def rows(self) -> TopList:
        """(token, probability), likeliest first."""
        if self._lens is not None:
            return self._lens[1]
        result = self.data.result
        return [] if result is None else [(t, p) for _, t, p in words.top_list(result)]

    @property
    def token(self) -> str | None:
        """The token under the cursor."""
        rows = self.rows()
        return rows[self.list.cursor][0] if self.list.cursor < len(rows) else None

    def fill(self) -> None:
        """One bar a token; the target's is bold."""
        result = self.data.result
        target = result.metric.target.token if result and result.metric.target else None
        bars = [
            Bar(f"{rank:>2} {visible_token(token)}", words.percent(p), p, token == target)
            for rank, (token, p) in enumerate(self.rows(), start=1)
        ]
        self.list.show(bars)

    def subtitle(self) -> str:
        """After which token, or which cell of the lens."""
        result, prompt = self.data.result, self.data.prompt
        if self._lens is not None:
            return "lens cell under cursor"
        if result is None or prompt is None:
            return ""
        at = result.metric.position
        return f"after {at} {visible_token(prompt.tokens[at])}"

    def readout(self) -> Text:
        """The token under the cursor."""
        rows, at = self.rows(), self.list.cursor
        if at >= len(rows):
            return Text()
        token, share = rows[at]
        text = Text.assemble(
            (f" {visible_token(token)}", self.ink("text", bold=True)),
            (f"  {words.percent(share)}", self.ink("accent", bold=True)),
        )
        if self._lens is not None:
            text.append(f"  {self._lens[0]}", self.ink("text"))
        result = self.data.result
        if self._lens is None and result is not None:
            id = int(result.extra["token_ids"].values[at])
            logit = float(result.extra["logits"].values[at])
            text.append(f"  logit {words.plain(logit)}  id {id}", self.ink("text"))
        return text

    def legend(self) -> Text:
        """What the numbers are."""
        rest = 1 - sum(share for _, share in self.rows())
        text = Text(" probability, exact", self.ink("text"))
        text.append(f"  all others {words.percent(max(0.0, rest))}", self.ink("muted"))
        return text
