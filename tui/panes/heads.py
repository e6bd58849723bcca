"""Heads: which attention heads carry the answer: each one taken away, layer × head."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual.widget import Widget

from tui import keys, words
from tui.panes.base import Pane, Select
from tui.widgets.bars import Bar, Bars
from tui.widgets.heat_grid import GridData, HeatGrid


class HeadsPane(Pane):
    """Effect on the metric of ablating each head; exact."""

    number, title, slot = 2, "Heads", "heads"
    BINDINGS = keys.bindings("heads")

    def __init__(self, select: Select) -> None:
        super().__init__(select)
        self.grid = HeatGrid(self._moved, id="head-grid")
        self.ranking = Bars(id="strongest-heads", pad=1)
        self._shown: object = None
        self._cursor_is_ours = True  # until it moves, it is put on the strongest head

    def body(self) -> Iterable[Widget]:
        """The grid, and below it the strongest heads."""
        return (self.grid, self.ranking)

    @property
    def ablation(self) -> str:
        """What a head's output is replaced by."""
        return str(self.state.params.get(self.slot, {}).get("ablation", "zero"))

    def fill(self) -> None:
        """The finished grid, or what is known of it so far."""
        source = self.data.partial if self.data.partial is not None else self.data.result
        if source is self._shown:
            return
        first = self._cursor_is_ours and self.data.partial is None
        self._shown = source
        if source is None:
            self.grid.show(None)
            self.ranking.show(())
            return
        from interpboard.visualization.colors import Scale

        layers, heads = source.axes
        scale = Scale.of(source.values, diverging=True)
        data = GridData(
            rows=tuple(f"L{label}" for label in layers.labels),
            columns=tuple(f"H{label}" for label in heads.labels),
            values=source.values,
            scale=scale,
        )
        order = self._rank(data)
        self.grid.show(data, order[0] if first and order else None)

    def _rank(self, data: GridData) -> list[tuple[int, int]]:
        """List the strongest heads; their cells."""
        import numpy as np

        known = np.nan_to_num(np.abs(data.values), nan=-1.0)
        order = [i for i in np.argsort(-known, axis=None)[:50] if known.flat[i] >= 0]
        cells = [divmod(int(i), len(data.columns)) for i in order]
        bars = []
        for row, column in cells:
            value = float(data.values[row, column])
            label = f"{data.rows[row]:>3} {data.columns[column]:<3}"
            bars.append(Bar(label, words.signed(value), value / data.scale.limit))
        self.ranking.show(bars, "strongest first")
        return cells

    def subtitle(self) -> str:
        """Which ablation of what."""
        result = self.data.result
        what = words.metric_name(result.metric) if result is not None else "metric"
        return f"Δ {what}, {self.ablation} ablation"

    def readout(self) -> Text:
        """The head under the cursor: effect, and the metric before and after."""
        data, result = self.grid.data, self.data.result
        if data is None:
            return Text()
        row, column = self.grid.cursor
        value = float(data.values[row, column])
        text = Text.assemble(
            (f" {data.rows[row]} {data.columns[column]}", self.ink("text", bold=True)),
            (f"  {words.signed(value)}", self.ink("accent", bold=True)),
        )
        if value != value:
            text.append("  not computed yet", self.ink("muted"))
            return text
        meaning = "helps" if value < 0 else "hurts" if value > 0 else "no effect"
        text.append(f" {meaning}", self.ink("muted"))
        if result is not None and result.baseline is not None and self.data.partial is None:
            before, after = result.baseline, result.baseline + value
            text.append(f"  {words.plain(before, 2)} → {words.plain(after, 2)}", self.ink("text"))
            rank = 1 + int((abs(result.values) > abs(value)).sum())
            text.append(f"  rank {rank}/{result.values.size}", self.ink("text"))
        return text

    def legend(self) -> Text:
        """Scale and sign."""
        if self.grid.data is None:
            return Text()
        limit = self.grid.data.scale.limit
        text = self.swatch(-limit, limit, True)
        text.append("− helps, + hurts", self.ink("text"))
        text.append("  exact", self.ink("muted"))
        return text

    def _moved(self) -> None:
        row, column = self.grid.cursor
        self._cursor_is_ours = False
        self.select(layer=row, head=column)
        self.refresh_readout()
