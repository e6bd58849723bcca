"""Heads: which attention heads and MLPs carry the answer: each one taken away, layer × head."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.text import Text
from textual.widget import Widget

from interpboard.registry.component_names import (
    MLP,
    TYPE_LETTERS,
    layer_name,
    written_component,
)
from tui import scales, words
from tui.commands.command import bindings
from tui.commands.places import MOVES
from tui.session.note_subjects import noted_parts
from tui.session.selection import Selection
from tui.slots.at_cursor import AtCursor
from tui.slots.heads.keys import KEYS
from tui.slots.heads.parts import head_types, mlp_effects
from tui.slots.pane import Pane
from tui.slots.pane_contract import Select
from tui.slots.spec import Slot
from tui.slots.unsure_marks import rounding_words, unsure_marks
from tui.widgets.bars import Bar, Bars
from tui.widgets.grid_data import GridData
from tui.widgets.heat_grid import HeatGrid
from tui.widgets.line import OPTIONAL, Line

if TYPE_CHECKING:
    import numpy as np

    from interpboard.results import Result


class HeadsPane(Pane):
    """Effect on the metric of ablating each head, and each MLP in a last column."""

    of_heads = True
    noted_kinds = ("head", "mlp")

    BINDINGS = bindings(KEYS, before=MOVES)

    def __init__(self, slot: Slot, select: Select) -> None:
        super().__init__(slot, select)
        self.grid = HeatGrid(self._moved, id="head-grid")
        self.ranking = Bars(id="strongest-heads", pad=1)
        self._shown: object = None
        self._cursor_is_ours = True  # until it moves, it is put on the strongest head

    def body(self) -> Iterable[Widget]:
        """The grid, and below it the strongest heads."""
        return (self.grid, self.ranking)

    def under_body(self) -> Iterable[Widget]:
        """What the letters of the types stand for."""
        return (Line(classes="types"),)

    @property
    def exponent(self) -> int:
        """Of the grid."""
        return self.grid.exponent

    @property
    def ablation(self) -> str:
        """What a head's output is replaced by."""
        return str(self.state.params.get(self.slot.name, {}).get("ablation", "zero"))

    def estimated(self, row: int, column: int) -> bool:
        """Is the cell's number an estimate that an exact one is to replace?"""
        data = self.grid.data
        return data is not None and data.estimated is not None and bool(data.estimated[row, column])

    def _estimates(self, shape: tuple[int, ...]) -> np.ndarray | None:
        """Which cells are estimates; those of MLPs never are. None: no cell is."""
        import numpy as np

        partial, result = self.data.partial, self.data.result
        if partial is None:
            guessed = result is not None and not words.exact(result)
            return np.ones(shape, dtype=bool) if guessed else None
        if partial.estimated is None or not partial.estimated.any():
            return None
        marks = np.zeros(shape, dtype=bool)
        marks[:, : partial.estimated.shape[1]] = partial.estimated
        return marks

    def _finished(self) -> Result | None:
        """The grid, if nothing of it is under way."""
        return self.data.result if self.data.partial is None else None

    def fill(self) -> None:
        """The finished grid, or what is known of it so far."""
        source = self.data.partial if self.data.partial is not None else self.data.result
        mlps = mlp_effects(self.state, under_way=self.data.partial is not None)
        beside = (self.state.slots[name].result for name in self.slot.beside)
        noted = noted_parts(self.state, self.noted_kinds)
        shown = (source, mlps is None, *beside, self.state.interventions.on, noted)
        if shown == self._shown:
            return
        first = self._cursor_is_ours and self.data.partial is None
        self._shown = shown
        if source is None:
            self.grid.show(None)
            self.ranking.show(())
            return
        import numpy as np

        from interpboard.visualization.colors import Scale

        neutral = scales.slot_meaning(self.data)[1]
        layers, heads = source.axes
        column = np.full((len(layers.labels), 1), np.nan)
        if mlps is not None:
            column[: len(mlps), 0] = mlps
        values = np.hstack([source.values, column])
        data = GridData(
            rows=tuple(map(layer_name, layers.labels)),
            columns=(*(f"H{label}" for label in heads.labels), MLP),
            values=values,
            scale=Scale.of(values, diverging=True, center=neutral),
            estimated=self._estimates(values.shape),
            unsure=unsure_marks(self._finished(), values.shape),
            badges={at: TYPE_LETTERS[name] for at, name in head_types(self.state).items()},
        )
        data = replace(
            data, off=self._off(data), names=self._names(data), noted=_cells_of(data, noted)
        )
        order = self._rank(data)
        heads_only = [cell for cell in order if cell[1] < len(heads.labels)]
        self.grid.show(data, heads_only[0] if first and heads_only else None)

    def _off(self, data: GridData) -> frozenset[tuple[int, int]]:
        """Cells with an intervention, whatever it puts there."""
        places = {place for item in self.state.interventions.on for place in item.places}
        return frozenset(
            (row, column)
            for row in range(len(data.rows))
            for column in range(len(data.columns))
            if _place(data, row, column) in places
        )

    def _names(self, data: GridData) -> dict[tuple[int, int], tuple[str, ...]]:
        """By which a search finds cells: as they are written, as they are shown, what type they are of."""
        types = head_types(self.state)
        return {
            at: (_place(data, *at), f"{data.rows[at[0]]} {data.columns[at[1]]}",
                 *([types[at].replace("_", " ")] if at in types else []))
            for at in itertools.product(range(len(data.rows)), range(len(data.columns)))
        }  # fmt: skip

    def _rank(self, data: GridData) -> list[tuple[int, int]]:
        """List the strongest heads; their cells."""
        import numpy as np

        known = np.nan_to_num(np.abs(data.values - data.scale.center), nan=-1.0)
        order = [i for i in np.argsort(-known, axis=None)[:50] if known.flat[i] >= 0]
        cells = [divmod(int(i), len(data.columns)) for i in order]
        bars, widest = [], max(map(len, data.rows))
        for row, column in cells:
            value = float(data.values[row, column])
            letter = (data.badges or {}).get((row, column), " ")
            label = f"{data.rows[row]:>{widest}} {data.columns[column]:<3} {letter}"
            guess = data.estimated is not None and data.estimated[row, column]
            number = ("~" if guess else "") + words.signed(value)
            bars.append(Bar(label, number, data.scale.share(value)))
        self.ranking.show(bars, "strongest first")
        return cells

    def cell(self) -> tuple[int, int | None]:
        """(layer, head) under the cursor; head None: the MLP."""
        row, column = self.grid.cursor
        data = self.grid.data
        mlp = data is not None and data.columns[column] == MLP
        return row, None if mlp else column

    def part(self) -> str:
        """The head or MLP under the cursor."""
        if self.grid.data is None:
            return ""
        row, column = self.grid.cursor
        return f"{self.grid.data.rows[row]} {self.grid.data.columns[column]}"

    def intervention(self) -> AtCursor | None:
        """The head or MLP under the cursor, replaced as it is in the grid."""
        if self.grid.data is None:
            return None
        what = {"mean": "mean", "resample": "patch"}.get(self.ablation, "zero")
        return AtCursor(_place(self.grid.data, *self.grid.cursor), what)

    def subtitle(self) -> str:
        """Which ablation of what."""
        result, shows = self.data.named, scales.answered(self.data)
        what = words.metric_name(result.metric) if result is not None else "metric"
        ablation = self.ablation if shows is None else shows.params.get("ablation", "zero")
        return f"Δ {what}, {ablation} ablation"

    def readout(self) -> Text:
        """The part under the cursor: effect, and the metric before and after."""
        data, result = self.grid.data, self._finished()
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
        if self.estimated(row, column):
            text.append(" est.", self.ink("warning"))
        meaning = scales.side(self.data, value)
        text.append(f" {meaning or 'no effect'}", self.ink("muted"))
        if result is not None:
            known = abs(data.values[data.values == data.values] - data.scale.center)
            rank = 1 + int((known > abs(value - data.scale.center)).sum())
            text.append(f"  rank {rank}/{known.size}", self.ink("text") + OPTIONAL)
        if not self.estimated(row, column):
            unsure = data.unsure is not None and data.unsure[row, column]
            text.append("  within rounding" if unsure else "  exact", self.ink("muted"))
        if result is not None and result.baseline is not None:
            before, after = (
                words.unsigned(m, 2) for m in (result.baseline, result.baseline + value)
            )
            text.append(f"  {before} → {after}", self.ink("text"))
        off = "  off" if (row, column) in data.off else ""
        kind = head_types(self.state).get((row, column))
        types = self.state.slots["head_types"].result
        if kind is not None and types is not None:
            at = (types.axes[0].labels.index(kind), row, column)
            score, above = types.values[at], types.extra["z"].values[at]
            text.append(f"  {kind.replace('_', ' ')} {score:.2f}", self.ink("text"))
            z, room = (
                f" z {words.unsigned(float(above), 1)}",
                self.size.width or self.app.size.width,
            )
            if text.cell_len + len(z) + len(off) <= room:
                text.append(z, self.ink("muted"))  # whole, or not at all
        text.append(off, self.ink("warning"))
        return text

    def legend(self) -> Text:
        """Scale and sign."""
        if self.grid.data is None:
            return Text()
        text = self.swatch(self.grid.data.scale)
        text.append(scales.sides(self.data), self.ink("text"))
        if self.grid.data.estimated is not None:
            return text.append("  ~ estimates until exact", self.ink("muted"))
        text.append("  exact", self.ink("muted"))
        marked = self.grid.data.unsure is not None
        text.append(rounding_words(self._finished(), marked=marked), self.ink("muted"))
        return text

    def refresh_words(self) -> None:
        """And what the letters of the types stand for, as much of it as there is room for."""
        super().refresh_words()
        if self.replaced:
            self._line("types", Text())
            return
        room = self.size.width or self.app.size.width  # hidden: it is shown on its own first
        whole = self._letters(whole=True)
        self._line("types", whole if whole.cell_len <= room else self._letters(whole=False))

    def _letters(self, *, whole: bool) -> Text:
        """The letters of the types of head in sight, and the names of the types, or their first words."""
        shown, text = set(head_types(self.state).values()), Text()
        for name, letter in TYPE_LETTERS.items():
            if name in shown:
                text.append(f"  {letter}" if text else f" {letter}", self.ink("text", bold=True))
                type_name = name.replace("_", " ") if whole else name.partition("_")[0]
                text.append(f" {type_name}", self.ink("muted"))
        return text

    def follow(self, selection: Selection) -> bool:
        """The selected layer and head."""
        data = self.grid.data
        if data is None or selection.layer is None or selection.layer < 0:
            return False
        row, column = selection.layer, self.grid.cursor[1]
        self._cursor_is_ours = False
        if selection.mlp:
            column = len(data.columns) - 1
        elif selection.head is not None:
            column = selection.head
        return self.grid.put((row, column))

    def slot_under_cursor(self) -> str:
        """A head's attention; an MLP's neurons."""
        layer, head = self.cell()
        if self.grid.data is None:
            return ""
        self.select(layer=layer, head=head, mlp=head is None)
        return "neurons" if head is None else "attention"

    def _moved(self) -> None:
        layer, head = self.cell()
        self._cursor_is_ours = False
        self.select(layer=layer, head=head, mlp=head is None)
        self.refresh_readout()


def _cells_of(data: GridData, parts: Collection[str]) -> frozenset[tuple[int, int]]:
    """The cells of heads and MLPs that are called by one of ``parts``."""
    cells = itertools.product(range(len(data.rows)), range(len(data.columns))) if parts else ()
    return frozenset((r, c) for r, c in cells if f"{data.rows[r]} {data.columns[c]}" in parts)


def _place(data: GridData, row: int, column: int) -> str:
    name = data.columns[column]
    layer = data.rows[row].removeprefix("L")
    return written_component(layer, None if name == MLP else name.removeprefix("H"))
