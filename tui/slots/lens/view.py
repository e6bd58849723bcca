"""Lens: at which layer the answer appears: the top token after each layer, at each position."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.text import Text
from textual.containers import Horizontal
from textual.widget import Widget

from interpboard.display import visible, visible_token
from interpboard.registry.layer_names import layer_names
from tui import words
from tui.commands.command import bindings
from tui.commands.places import MOVES
from tui.session.selection import Selection
from tui.slots.at_cursor import Predicted
from tui.slots.lens.grid import VIEWS, arrays_of, lens_grid, lens_scale
from tui.slots.lens.keys import KEYS
from tui.slots.lens.sites import SITE_TITLES
from tui.slots.pane import Pane
from tui.slots.pane_contract import Select
from tui.slots.spec import Slot
from tui.slots.top_tokens import pairs, top_bars
from tui.slots.what_if.spec import WHAT_IF
from tui.widgets.bars import Bars
from tui.widgets.heat_grid import HeatGrid
from tui.widgets.plot import Plot, Series

if TYPE_CHECKING:
    from interpboard.results import Result


class LensPane(Pane):
    """The lens: layers × positions; every layer read out at a site. Edited below clean."""

    detailed = True
    BINDINGS = bindings(KEYS, before=MOVES)

    def __init__(self, slot: Slot, select: Select) -> None:
        super().__init__(slot, select)
        self.grid = HeatGrid(self._moved, id="lens-grid")
        self.plot, self.top = Plot(id="lens-plot"), Bars(id="lens-top")
        self.top_edited = Bars(id="lens-top-edited")
        self.top_edited.add_class("-nothing")
        self.view_at = 0
        self._shown: object = None
        self._column = -1

    def body(self) -> Iterable[Widget]:
        """The table; below it the target's way up at the cursor's position, and the cell's tokens."""
        return (self.grid, Horizontal(self.plot, self.top, self.top_edited, id="lens-below"))

    @property
    def position(self) -> int:
        """The position under the cursor."""
        return self.grid.cursor[1]

    @property
    def by(self) -> str:
        """What colours the cells."""
        return VIEWS[self.view_at][0]

    @property
    def site(self) -> str:
        """Where the lens reads."""
        result = self.data.result
        return str(result.params.get("site", "resid_post")) if result is not None else "resid_post"

    def _row_of(self, layer: int) -> int:
        """The row of a layer; −1 is the embedding, which not every site has."""
        labels = self._labels()
        name = self._names()[layer] if 0 <= layer < len(self._names()) else "embed"
        return labels.index(name) if name in labels else 0

    def _layer_of(self, row: int) -> int:
        """The layer of a row; the last row is the model's own output."""
        label = self._labels()[row]
        if label == "final":
            return row - 1
        return -1 if label == "embed" else self._names().index(label)

    def _names(self) -> tuple[str, ...]:
        model = self.state.model
        return () if model is None else layer_names(model.info)

    @property
    def _border(self) -> int:
        """The first position that has a column: of an encoder–decoder that of the prefix."""
        return self.data.prompt.border if self.data.prompt is not None else 0

    def _labels(self) -> tuple[str, ...]:
        result = self.data.result
        return result.axes[0].labels if result is not None else ()

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
            self.top.show(())
            self.top_edited.show(())
            return
        clean = arrays_of(result, None)
        other = arrays_of(edited, 1) if edited is not None else None
        scale = lens_scale(self.by, *(run for run in (clean, other) if run is not None))
        data = lens_grid(result, clean, self.by, scale)
        if other is not None:
            data = replace(data, notes=None, below=lens_grid(result, other, self.by, scale))
        at = result.metric.position - self._border
        cursor = (len(data.rows) - 1, at) if first else None
        layer = self.state.selection.layer
        if self.grid.data is not None and self.grid.data.rows != data.rows and layer is not None:
            cursor = (self._row_of(layer), self.grid.cursor[1])  # another site has other rows
        self.grid.show(data, cursor)
        self._show_plot()
        self._show_top()

    def shows_edited(self) -> bool:
        """Once the edited run is there."""
        return self._edited() is not None

    def _edited(self) -> Result | None:
        """The what-if result, if it speaks of the same question and has a lens."""
        edited, result = self.state.edited("what_if"), self.data.result
        if edited is None or result is None or "lens" not in edited.extra:
            return None
        if self.data.question != self.state.question:
            return None
        shown, wanted = result.params, edited.params
        for name, at in (("site", "lens_site"), ("translators", "translators")):
            if (shown.get(name) or "resid_post") != (wanted.get(at) or "resid_post"):
                return None  # another lens was chosen since
        return edited if edited.extra["lens"].values.shape[1:] == result.values.shape else None

    def predicted(self) -> Predicted | None:
        """The cell under the cursor, with what the layer there would predict, clean and edited."""
        result, data, edited = self.data.result, self.grid.data, self._edited()
        if result is None or data is None:
            return None
        row, column = at = self.grid.cursor
        site = SITE_TITLES[self.site][0]
        where = f"{data.rows[row]} {site}" if site and data.rows[row] != "out" else data.rows[row]
        return Predicted(
            f"{where} {result.metric.place} {column + self._border} {words.shorten(data.columns[column])}",
            pairs(result.extra, "top", *at),
            pairs(edited.extra, "lens_top", 1, *at) if edited is not None else None,
        )

    def subtitle(self) -> str:
        """What a cell is."""
        result = self.data.result
        if result is not None and result.analysis == "tuned_lens":
            what = "tuned lens: top token after the layer"
        else:
            what = f"top token {SITE_TITLES[self.site][1]}"
        more = ""
        if self._edited() is not None:
            more = f"; → edited{' by an older list' if WHAT_IF.stale(self.state) else ''}"
        return f"{what}{more}"

    def readout(self) -> Text:
        """Where, and the target's probability and rank there, clean and edited."""
        result, cell, edited = self.data.result, self.predicted(), self._edited()
        if result is None or cell is None:
            return Text()
        at, target = self.grid.cursor, result.metric.target
        text = Text.assemble((f" {cell.where}", self.ink("text", bold=True)))
        if target is not None:
            text.append(f"  p {words.token(target.token)} ", self.ink("text"))
            value = words.percent(float(result.values[at]))
            text.append(value, self.ink("accent", bold=True))
            if edited is not None:
                after = words.percent(float(edited.extra["lens"].values[(1, *at)]))
                text.append(f" → {after}", self.ink("accent", bold=True))
            text.append(f" rank {int(result.extra['rank'].values[at])}", self.ink("text"))
            if edited is not None:
                text.append(f" → {int(edited.extra['lens_rank'].values[(1, *at)])}", self.inks.text)
        how = "trained" if result.analysis == "tuned_lens" else "exact"
        text.append(f" {how}", self.ink("muted"))
        if self.by == "settled":
            return text.append(f"  {self._settled(result, edited)}", self.ink("text"))
        entropy = float(result.extra["entropy"].values[at])
        kl = float(result.extra["kl"].values[at])
        text.append(f"  entropy {entropy:.2f} KL {kl:.2f} nats", self.ink("muted"))
        return text

    def _settled(self, result: Result, edited: Result | None) -> str:
        """From which row on the position's top token is the final one, clean and edited."""
        from interpboard.results.lens_rows import converged

        assert self.grid.data is not None
        rows, column = self.grid.data.rows, self.grid.cursor[1]
        runs = [arrays_of(result, None), *([arrays_of(edited, 1)] if edited is not None else [])]
        names = [rows[converged(run["top_ids"])[column]] for run in runs]
        return f"{column} settled from {' → '.join(names)} on"

    def details(self) -> Text:
        """The likeliest tokens of the cell, as many as fit; with an edited run three of each."""
        cell = self.predicted()
        text = Text(" top", self.ink("muted"))
        if cell is None:
            return text
        both = cell.edited is not None
        for token, share in cell.top[:3] if both else cell.top:
            text.append(f"  {visible_token(token)} {words.percent(share)}", self.ink("text"))
        text.append("  →" if both else "", self.ink("accent", bold=True))
        for token, share in (cell.edited or [])[:3]:
            text.append(f"  {visible_token(token)} {words.percent(share)}", self.ink("text"))
        return text

    def legend(self) -> Text:
        """Scale, and what it is of."""
        grid, result = self.grid.data, self.data.result
        target = result.metric.target if result is not None else None
        name = words.token(target.token) if target is not None else "the target"
        from interpboard.visualization.colors import Scale

        text = self.swatch(grid.scale if grid is not None else Scale(1.0, diverging=False))
        if self.by == "rank":
            text = Text(" dark: rank 1; ", self.ink("text"))
        if self.by == "settled":
            text = Text(" coloured: ", self.ink("text"))
        text.append(VIEWS[self.view_at][1].replace("the target", name), self.ink("text"))
        text.append(f"  bold: {name}", self.ink("muted"))
        if result is not None and result.analysis == "tuned_lens":
            text.append("  by trained maps", self.ink("muted"))
            for warning in result.warnings:
                text.append(f"  {visible(warning)}", self.ink("warning"))
        else:
            text.append("  exact", self.ink("muted"))
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
        target = words.token(result.metric.target.token)
        self.plot.show(
            f"p {target} {result.metric.place} {column} {words.shorten(data.columns[column])}",
            data.rows,
            lines,
        )

    def _show_top(self) -> None:
        """The likeliest tokens of the cell, one a line."""
        cell, result = self.predicted(), self.data.result
        if cell is None or result is None:
            return
        target = result.metric.target.token if result.metric.target is not None else None
        both = cell.edited is not None
        self.top.show(top_bars(cell.top, target), "clean" if both else cell.where)
        self.top_edited.show(top_bars(cell.edited or [], target), "edited" if both else "")
        if self.top_edited.has_class("-nothing") == both:
            self.top_edited.set_class(not both, "-nothing")

    def follow(self, selection: Selection) -> bool:
        """The selected layer and position; the lens has the embedding as a row of its own."""
        row, column = self.grid.cursor
        if selection.layer is not None:
            row = self._row_of(selection.layer)
        token = selection.token
        if token is not None and token >= self._border:
            column = token - self._border
        return self.grid.put((row, column))

    def _moved(self) -> None:
        row, column = self.grid.cursor
        self.select(layer=self._layer_of(row), token=column + self._border)
        self.refresh_readout()

    def cursor_rested(self) -> None:
        """The cell's tokens, and the target's way up at the position, where the cursor rests."""
        self._show_top()
        if self.grid.cursor[1] != self._column:
            self._show_plot()
