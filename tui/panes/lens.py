"""Lens: at which layer the answer appears: the top token after each layer, at each position."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual.widget import Widget

from interpboard.display import visible_token
from tui import keys, words
from tui.panes.base import Pane, Select
from tui.widgets.bars import Bar, Bars
from tui.widgets.heat_grid import GridData, HeatGrid

TopList = list[tuple[str, float]]


class LensPane(Pane):
    """The logit lens: layers × positions; exact reading of every layer's residual stream."""

    number, title, slot = 3, "Lens", "lens"
    detailed = True
    BINDINGS = keys.bindings("lens")

    def __init__(self, select: Select) -> None:
        super().__init__(select)
        self.grid = HeatGrid(self._moved, id="lens-grid")
        self.track = Bars(id="lens-track", pad=1)
        self.by_target = False
        self._shown: object = None
        self._column = -1

    def body(self) -> Iterable[Widget]:
        """The table, and below it the target's way up at the cursor's position."""
        return (self.grid, self.track)

    @property
    def position(self) -> int:
        """The position under the cursor."""
        return self.grid.cursor[1]

    def fill(self) -> None:
        """Words from the top tokens, colours from a probability."""
        result = self.data.result
        shown = (result, self.by_target)
        if shown == self._shown:
            return
        first = self._shown is None
        self._shown = shown
        if result is None:
            self._shown = None
            self.grid.show(None)
            self.track.show(())
            return
        import numpy as np

        from interpboard.visualization.colors import Scale

        layers, tokens = result.axes
        best = result.extra["top_tokens"].values[:, :, 0]
        shares = result.values if self.by_target else result.extra["top_probs"].values[:, :, 0]
        texts = np.empty(best.shape, dtype=object)
        notes = np.empty(best.shape, dtype=object)
        for at in np.ndindex(best.shape):
            texts[at] = visible_token(str(best[at]))
            notes[at] = words.percent(float(shares[at]))
        target = result.metric.target.id if result.metric.target else -1
        data = GridData(
            rows=tuple("emb" if label == "embed" else f"L{label}" for label in layers.labels),
            columns=tuple(visible_token(label) for label in tokens.labels),
            values=shares,
            scale=Scale.of(shares, diverging=False),
            words=texts,
            notes=notes,
            marked=result.extra["top_ids"].values[:, :, 0] == target,
        )
        cursor = (len(data.rows) - 1, result.metric.position) if first else None
        self.grid.show(data, cursor)
        self._show_track()

    def cell(self) -> tuple[str, TopList] | None:
        """Where the cursor is, in words, and the tokens that the layer there would predict."""
        result, data = self.data.result, self.grid.data
        if result is None or data is None:
            return None
        row, column = self.grid.cursor
        tokens = result.extra["top_tokens"].values[row, column]
        probs = result.extra["top_probs"].values[row, column]
        top = [(str(token), float(p)) for token, p in zip(tokens, probs, strict=True)]
        return f"{data.rows[row]} after {column} {data.columns[column]}", top

    def subtitle(self) -> str:
        """What a cell is."""
        return "top token if the model ended after the layer"

    def readout(self) -> Text:
        """Where, and the target's probability and rank there."""
        result, cell = self.data.result, self.cell()
        if result is None or cell is None:
            return Text()
        row, column = self.grid.cursor
        where = cell[0]
        target = result.metric.target
        text = Text.assemble((f" {where}", self.ink("text", bold=True)))
        if target is not None:
            rank = int(result.extra["rank"].values[row, column])
            text.append(f"  p {visible_token(target.token)} ", self.ink("text"))
            value = words.percent(float(result.values[row, column]))
            text.append(value, self.ink("accent", bold=True))
            text.append(f" rank {rank} ", self.ink("text"))
        entropy = float(result.extra["entropy"].values[row, column])
        text.append(f"  entropy {entropy:.2f} nats", self.ink("muted"))
        return text

    def details(self) -> Text:
        """The five likeliest tokens of the cell."""
        cell = self.cell()
        text = Text(" top", self.ink("muted"))
        for token, share in cell[1][:5] if cell is not None else ():
            text.append(f"  {visible_token(token)} {words.percent(share)}", self.ink("text"))
        return text

    def legend(self) -> Text:
        """Scale, and which probability it is."""
        text = self.swatch(0, 1, False)
        result = self.data.result
        target = result.metric.target if result is not None else None
        name = visible_token(target.token) if target is not None else "the target"
        what = name if self.by_target else "the token shown"
        text.append(f"probability of {what}", self.ink("text"))
        text.append(f"  bold: {name}  exact", self.ink("muted"))
        return text

    def toggle_colour(self) -> None:
        """Colour by the shown token's probability, or by the target's."""
        self.by_target = not self.by_target
        self.fill()
        self.refresh_words()

    def _show_track(self) -> None:
        result, data = self.data.result, self.grid.data
        if result is None or data is None or result.metric.target is None:
            return
        column = self._column = self.grid.cursor[1]
        bars = [
            Bar(f"{label:>4}", words.percent(p), p)
            for label, p in zip(data.rows, map(float, result.values[:, column]), strict=True)
        ]
        target = visible_token(result.metric.target.token)
        self.track.show(bars, f"p {target} after {column} {data.columns[column]}, layer by layer")

    def _moved(self) -> None:
        row, column = self.grid.cursor
        self.select(layer=row - 1, token=column)
        self.refresh_readout()

    def follow(self) -> None:
        """The cursor rests: the target's way up at its position."""
        if self.grid.cursor[1] != self._column:
            self._show_track()
