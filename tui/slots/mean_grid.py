"""A mean over rows as a grid: head × layer, layer × role; what has more axes as a list of the largest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from interpboard.results.intervals import unsure_entries
from interpboard.results.sites import with_sites
from interpboard.visualization.colors import Scale
from tui import words
from tui.slots.mean_words import (
    cell_name,
    label,
    mean_legend,
    mean_readout,
    neutral_of,
    sides_legend,
)
from tui.widgets.grid_data import GridData
from tui.widgets.heat_grid import HeatGrid

if TYPE_CHECKING:
    from interpboard.results import Result
    from tui.slots.framed_box import Ink

_MOST = 200  # entries of a list
_WIDE = "neuron"  # an axis of thousands is never a column each


class MeanGrid(HeatGrid):
    """Cells whose interval has the neutral value in it have a ``?`` and no colour."""

    def __init__(self, moved: Callable[[], None], *, id: str | None = None) -> None:
        super().__init__(moved, id=id)
        self.of: Result | None = None
        self._order: np.ndarray | None = None  # flat places of the rows, where it is a list

    def take(self, result: Result | None) -> None:
        """Show ``result``; None: nothing."""
        if result is self.of:
            return
        first, self.of = self.of is None, result
        if result is None:
            self.show(None)
            return
        known = with_sites(result)
        axes = [axis for axis in known.axes if len(axis.labels) > 1]
        is_grid = len(axes) == 2 and _WIDE not in [axis.name for axis in axes]
        self._order = None if is_grid else _largest(result)
        data = self._grid(known) if is_grid else self._list(result)
        largest = divmod(int(_largest(result)[0]), data.values.shape[1]) if is_grid else (0, 0)
        self.show(data, largest if first else None)

    @property
    def scale(self) -> Scale:
        """Around the neutral value, as far as the largest mean is from it."""
        assert self.of is not None
        return Scale.of(self.of.values, diverging=True, center=neutral_of(self.of))

    def _grid(self, result: Result) -> GridData:
        axes = [axis for axis in result.axes if len(axis.labels) > 1]
        shape = [len(axis.labels) for axis in axes]
        return GridData(
            rows=tuple(label(axes[0].name, text) for text in axes[0].labels),
            columns=tuple(label(axes[1].name, text) for text in axes[1].labels),
            values=result.values.reshape(shape),
            scale=self.scale,
            unsure=unsure_entries(result).reshape(shape),
        )

    def _list(self, result: Result) -> GridData:
        assert self._order is not None
        values = result.values.reshape(-1)[self._order][:, None]
        marks = unsure_entries(result).reshape(-1)[self._order]
        texts = [
            [("? " if mark else "") + words.signed(float(value))]
            for value, mark in zip(values[:, 0], marks, strict=True)
        ]
        colours = np.where(marks[:, None], np.nan, values)
        return GridData(
            rows=tuple(cell_name(result, int(place)) for place in self._order),
            columns=("mean",),
            values=colours,
            scale=self.scale,
            words=np.array(texts, dtype=object).reshape(values.shape),
        )

    def _place(self) -> int:
        """The cell under the cursor, counted through the whole array."""
        row, column = self.cursor
        if self._order is not None:
            return int(self._order[row])
        assert self.data is not None
        return row * len(self.data.columns) + column

    def readout(self, ink: Ink) -> Text:
        """The cell under the cursor."""
        if self.of is None or not self.of.values.size:
            return Text()
        return mean_readout(self.of, self._place(), ink)

    def legend(self, swatch: Callable[[Scale], Text], ink: Ink) -> Text:
        """Scale, what the sides say, and what the mark is."""
        if self.of is None:
            return Text()
        text = swatch(self.scale)
        text.append(sides_legend(self.of), ink("text"))
        return text.append(mean_legend(self.of), ink("muted"))


def _largest(result: Result) -> np.ndarray:
    """Flat places of the cells, the farthest from the neutral value first."""
    far = np.nan_to_num(np.abs(result.values.reshape(-1) - neutral_of(result)), nan=-1.0)
    return np.argsort(-far, kind="stable")[:_MOST]
