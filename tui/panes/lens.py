"""Lens: at which layer the answer appears: the top token after each layer, at each position."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.text import Text
from textual.widget import Widget

from interpboard.display import visible_token
from tui import keys, words
from tui.panes.base import Pane, Select
from tui.panes.tokens import TopList
from tui.state import Selection
from tui.widgets.heat_grid import GridData, HeatGrid
from tui.widgets.plot import Plot, Series

if TYPE_CHECKING:
    import numpy as np

    from interpboard.results import Result

# What colours a cell: the name people read, and the array it is in.
VIEWS = (
    ("top", "probability of the token shown"),
    ("target", "probability of the target"),
    ("entropy", "entropy in nats"),
    ("kl", "KL to the final layer in nats"),
    ("rank", "rank of the target"),
)


class LensPane(Pane):
    """The lens: layers × positions; every layer's residual stream read out. Edited below clean."""

    number, title, slot = 3, "Lens", "lens"
    detailed = True
    leans_on = ("what_if",)
    BINDINGS = keys.bindings("lens")

    def __init__(self, select: Select) -> None:
        super().__init__(select)
        self.grid = HeatGrid(self._moved, id="lens-grid")
        self.plot = Plot(id="lens-plot")
        self.view_at = 0
        self._shown: object = None
        self._column = -1

    def body(self) -> Iterable[Widget]:
        """The table, and below it the target's way up at the cursor's position."""
        return (self.grid, self.plot)

    @property
    def position(self) -> int:
        """The position under the cursor."""
        return self.grid.cursor[1]

    @property
    def by(self) -> str:
        """What colours the cells."""
        return VIEWS[self.view_at][0]

    def fill(self) -> None:
        """Words from the top tokens, colours from what is chosen."""
        result, edited = self.data.result, self._edited()
        shown = (result, edited, self.by)
        if shown == self._shown:
            return
        first = self._shown is None
        self._shown = shown
        if result is None:
            self._shown = None
            self.grid.show(None)
            self.plot.show("", (), ())
            return
        arrays = _arrays(result, None)
        data = self._grid(result, arrays)
        if edited is not None:
            data = replace(data, notes=None, below=self._grid(result, _arrays(edited, 1)))
        cursor = (len(data.rows) - 1, result.metric.position) if first else None
        self.grid.show(data, cursor)
        self._show_plot()

    def _edited(self) -> Result | None:
        """The what-if result, if it speaks of the same question and has a lens."""
        edited, result = self.state.edited(), self.data.result
        if edited is None or result is None or "lens" not in edited.extra:
            return None
        return edited if edited.extra["lens"].values.shape[1:] == result.values.shape else None

    def _grid(self, result: Result, arrays: dict[str, np.ndarray]) -> GridData:
        import numpy as np

        from interpboard.visualization.colors import Scale

        layers, tokens = result.axes
        best, values = arrays["top_tokens"][:, :, 0], self._values(arrays)
        texts, notes = np.empty(best.shape, dtype=object), np.empty(best.shape, dtype=object)
        for at in np.ndindex(best.shape):
            texts[at] = visible_token(str(best[at]))
            notes[at] = self._said(float(values[at]))
        target = result.metric.target.id if result.metric.target else -1
        sequential = Scale.of(values, diverging=False)
        if self.by in ("entropy", "kl", "rank"):
            size = np.log(values) if self.by == "rank" else values
            sequential = Scale(float(np.nanmax(size)) or 1.0, diverging=False)
            values = size
        return GridData(
            rows=tuple("emb" if label == "embed" else f"L{label}" for label in layers.labels),
            columns=tuple(visible_token(label) for label in tokens.labels),
            values=values,
            scale=sequential,
            words=texts,
            notes=notes,
            marked=arrays["top_ids"][:, :, 0] == target,
        )

    def _values(self, arrays: dict[str, np.ndarray]) -> np.ndarray:
        if self.by == "top":
            return arrays["top_probs"][:, :, 0]
        return arrays["prob" if self.by == "target" else self.by]

    def _said(self, value: float) -> str:
        if self.by == "rank":
            return f"{value:.0f}"
        return words.plain(value, 2) if self.by in ("entropy", "kl") else words.percent(value)

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
        both = self._edited() is not None
        late = " of before" if both and self.state.stale("what_if") else ""
        more = f"; → edited{late}" if both else ""
        return f"top token if the model ended after the layer{more}"

    def readout(self) -> Text:
        """Where, and the target's probability and rank there, clean and edited."""
        result, cell, edited = self.data.result, self.cell(), self._edited()
        if result is None or cell is None:
            return Text()
        at, target = self.grid.cursor, result.metric.target
        text = Text.assemble((f" {cell[0]}", self.ink("text", bold=True)))
        if target is not None:
            text.append(f"  p {visible_token(target.token)} ", self.ink("text"))
            value = words.percent(float(result.values[at]))
            text.append(value, self.ink("accent", bold=True))
            if edited is not None:
                after = words.percent(float(edited.extra["lens"].values[(1, *at)]))
                text.append(f" → {after}", self.ink("accent", bold=True))
            text.append(f" rank {int(result.extra['rank'].values[at])}", self.ink("text"))
            if edited is not None:
                text.append(f" → {int(edited.extra['lens_rank'].values[(1, *at)])}", self.inks.text)
        entropy = float(result.extra["entropy"].values[at])
        kl = float(result.extra["kl"].values[at])
        text.append(f"  entropy {entropy:.2f} KL {kl:.2f} nats", self.ink("muted"))
        return text

    def details(self) -> Text:
        """The likeliest tokens of the cell, as many as fit."""
        cell = self.cell()
        text = Text(" top", self.ink("muted"))
        for token, share in cell[1] if cell is not None else ():
            text.append(f"  {visible_token(token)} {words.percent(share)}", self.ink("text"))
        return text

    def legend(self) -> Text:
        """Scale, and what it is of."""
        grid, result = self.grid.data, self.data.result
        target = result.metric.target if result is not None else None
        name = visible_token(target.token) if target is not None else "the target"
        text = self.swatch(0, grid.scale.limit if grid is not None else 1, False)
        if self.by == "rank":
            text = Text(" dark: rank 1; ", self.ink("text"))
        text.append(VIEWS[self.view_at][1].replace("the target", name), self.ink("text"))
        text.append(f"  bold: {name}  exact", self.ink("muted"))
        return text

    def next_view(self) -> None:
        """Colour by the next of the views."""
        self.view_at = (self.view_at + 1) % len(VIEWS)
        self.fill()
        self.refresh_words()

    def _show_plot(self) -> None:
        result, data = self.data.result, self.grid.data
        if result is None or data is None or result.metric.target is None:
            return
        column = self._column = self.grid.cursor[1]
        lines = [Series("clean", tuple(map(float, result.values[:, column])), 110)]
        edited = self._edited()
        if edited is not None:
            values = edited.extra["lens"].values[1, :, column]
            lines.append(Series("orange: edited", tuple(map(float, values)), 214))
        target = visible_token(result.metric.target.token)
        self.plot.show(f"p {target} after {column} {data.columns[column]}", data.rows, lines)

    def meet(self, selection: Selection) -> bool:
        """The selected layer and position; the lens has the embedding as a row of its own."""
        row, column = self.grid.cursor
        if selection.layer is not None:
            row = selection.layer + 1
        return self.grid.put((row, column if selection.token is None else selection.token))

    def _moved(self) -> None:
        row, column = self.grid.cursor
        self.select(layer=row - 1, token=column)
        self.refresh_readout()

    def rest(self) -> None:
        """The target's way up at the position where the cursor rests."""
        if self.grid.cursor[1] != self._column:
            self._show_plot()


def _arrays(result: Result, run: int | None) -> dict[str, np.ndarray]:
    """The lens's arrays [layer, token, …] of a ``logit_lens`` result, or of one run of a what-if."""
    names = ("top_ids", "top_tokens", "top_probs", "entropy", "kl", "rank")
    if run is None:
        return {"prob": result.values, **{name: result.extra[name].values for name in names}}
    own = {name: result.extra[f"lens_{name}"].values[run] for name in names}
    return {"prob": result.extra["lens"].values[run], **own}
