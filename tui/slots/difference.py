"""B − A of any result as a grid: what every pane shows of it, with A and B in the readout.

Two dimensions are the grid's own, coloured around zero. One dimension is a list with A, B and B − A side by
side: tokens in their order, other entries by the size of the difference. What has more is a list of the
entries that differ most.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from interpboard.results.arrays import names_of
from interpboard.results.labels import visible_label
from interpboard.results.sites import with_sites
from interpboard.visualization.colors import Scale
from tui import words
from tui.widgets.grid_data import GridData
from tui.widgets.heat_grid import HeatGrid
from tui.widgets.line import OPTIONAL

if TYPE_CHECKING:
    from interpboard.results import Axis, Result
    from tui.slots.framed_box import Ink

_MOST = 200  # entries of a list
COMPARED_SIDES = ("A", "B", "B − A")
_MARKS = {"A: ": "A", "B: ": "B"}
_LETTERS = {"layer": "L", "head": "H", "neuron": "N"}
_WIDE = "neuron"  # an axis of thousands is never a column each


class DifferenceGrid(HeatGrid):
    """Shows a difference that ``interpboard.comparison`` made."""

    def __init__(self, moved: Callable[[], None], *, id: str | None = None) -> None:
        super().__init__(moved, id=id)
        self.of: Result | None = None
        self._order: np.ndarray | None = None  # flat places of the rows, where it is a list
        self._axes: tuple[Axis, ...] = ()

    def take(self, result: Result | None) -> None:
        """Show ``result``; None: nothing."""
        if result is self.of:
            return
        first, self.of = self.of is None, result
        if result is None:
            self.show(None)
            return
        self._order = None
        if _is_grid(result):
            self.show(self._grid(result), _largest(result) if first else None)
        else:
            data = self._list(result)
            far = np.nan_to_num(np.abs(data.values[:, -1]), nan=-1.0)
            self.show(
                data, (int(far.argmax()), len(COMPARED_SIDES) - 1) if first and len(far) else None
            )

    @property
    def scale(self) -> Scale:
        """Around zero, as far as the largest difference reaches."""
        assert self.of is not None
        return Scale.of(self.of.values, diverging=True)

    def _grid(self, result: Result) -> GridData:
        values, axes = squeezed(with_sites(result))
        second = tuple(_mark(label)[0] for label in axes[1].labels)
        return GridData(
            rows=tuple(_row(axes[0], label) for label in axes[0].labels),
            columns=tuple(_row(axes[1], _mark(label)[1]) for label in axes[1].labels),
            values=values,
            scale=self.scale,
            second=second if any(second) else (),
        )

    def _list(self, result: Result) -> GridData:
        flat = result.values.reshape(-1)
        order = np.arange(flat.size)
        if not (result.values.ndim == 1 and result.axes[0].name == "token"):
            sizes = np.nan_to_num(np.abs(flat), nan=-1.0)
            order = np.argsort(-sizes, kind="stable")[:_MOST]
        self._order = order
        sides = [result.extra[name].values.reshape(-1)[order] for name in ("a", "b")]
        three = np.stack([*sides, flat[order]], axis=1)
        colours = np.full(three.shape, np.nan)
        colours[:, -1] = three[:, -1]
        texts = [[words.signed(float(value)) for value in row] for row in three]
        return GridData(
            rows=tuple(_named(result, int(place)) for place in order),
            columns=COMPARED_SIDES,
            values=colours,
            scale=self.scale,
            words=np.array(texts, dtype=object).reshape(three.shape),
        )

    def place(self) -> int:
        """The entry under the cursor, counted through the whole array."""
        assert self.of is not None
        row, column = self.cursor
        if self._order is not None:
            return int(self._order[row]) if len(self._order) else 0
        assert self.data is not None
        return row * len(self.data.columns) + column

    def readout(self, ink: Ink) -> Text:
        """The entry under the cursor: B − A, then both sides, or which side alone has it."""
        result = self.of
        if result is None or not result.values.size:
            return Text()
        place = self.place()
        both = [float(result.extra[name].values.reshape(-1)[place]) for name in ("a", "b")]
        value = float(result.values.reshape(-1)[place])
        text = Text(f" {_named(result, place)}", ink("text", bold=True))
        only = _only_in(result, place)
        if value != value:
            why = f"only in {only}: no difference" if only else "no value on both sides"
            text.append(f"  {why}", ink("warning"))
        else:
            text.append(f"  B − A {words.signed(value)}", ink("accent", bold=True))
            said = "larger in B" if value > 0 else "smaller in B" if value < 0 else "the same"
            text.append(f" {said}", ink("muted"))
        for side, own in zip(("A", "B"), both, strict=True):
            if own == own:
                text.append(f"  {side} {words.signed(own)}", ink("text"))
        return text.append(_clean_runs(result), ink("muted") + OPTIONAL)

    def legend(self, swatch: Callable[[Scale], Text], ink: Ink) -> Text:
        """Scale and sign, and what has no difference."""
        if self.of is None:
            return Text()
        text = swatch(self.scale)
        text.append("B − A: − smaller in B, + larger in B", ink("text"))
        alone = "  A or B alone has it: no difference" if self.alone() else ""
        return text.append(alone, ink("muted"))

    def alone(self) -> bool:
        """Are there entries that one side alone has?"""
        return self.of is not None and any(name.startswith("only_in_") for name in self.of.extra)


def _clean_runs(result: Result) -> str:
    """``  clean run A 22.57, B 21.30``: the metric that both sides' effects are measured from."""
    found = [(side, result.params.get(f"{side.lower()}_clean_run")) for side in ("A", "B")]
    sides_said = [
        f"{side} {words.unsigned(float(v), 2)}" for side, v in found if isinstance(v, float)
    ]
    return f"  clean run {', '.join(sides_said)}" if sides_said else ""


def squeezed(result: Result) -> tuple[np.ndarray, tuple[Axis, ...]]:
    """The values without dimensions of one entry: of one layer and head only query and key are left."""
    axes = tuple(axis for axis in result.axes if len(axis.labels) > 1)
    return result.values.reshape([len(axis.labels) for axis in axes]), axes


def _is_grid(result: Result) -> bool:
    axes = squeezed(result)[1]
    return len(axes) == 2 and _WIDE not in [axis.name for axis in axes]


def _largest(result: Result) -> tuple[int, int]:
    values = squeezed(result)[0]
    row, column = divmod(int(np.nan_to_num(np.abs(values), nan=-1.0).argmax()), values.shape[1])
    return row, column


def _mark(label: str) -> tuple[str, str]:
    """Which side alone has the entry, empty for both, and its label without that."""
    mark = _MARKS.get(label[:3], "")
    return mark, label[3:] if mark else label


def _row(axis: Axis, label: str) -> str:
    """A label as it is shown: ``L3``, ``H7``, ``N5``, a token, with the side in front that alone has it."""
    mark, label = _mark(label)
    letter = _LETTERS.get(axis.name, "") if label[:1].isdigit() else ""
    return f"{mark}: "[: 3 * bool(mark)] + letter + words.shorten(visible_label(axis.name, label))


def _where(result: Result, place: int) -> list[tuple[str, Axis, int]]:
    at = np.unravel_index(place, result.values.shape) if result.axes else ()
    names = names_of(result.axes)
    return [(n, axis, int(i)) for n, axis, i in zip(names, result.axes, at, strict=True)]


def _named(result: Result, place: int) -> str:
    """The labels of an entry, those of dimensions of one entry left out."""
    known = _where(with_sites(result), place)
    many = [each for each in known if len(each[1].labels) > 1] or known
    return " ".join(_row(axis, axis.labels[i]) for _, axis, i in many) or "value"


def _only_in(result: Result, place: int) -> str:
    """The side that alone has an entry; empty where both do."""
    for name, _, i in _where(result, place):
        only = result.extra.get(f"only_in_{name}")
        if only is not None and only.values[i]:
            return str(only.values[i])
    return ""
