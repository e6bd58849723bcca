"""What is known beside the effects of heads: the effect of each layer's MLP, and the type of each head.

They are of other analyses. In a result of heads they are extras, so that what is shown side by side is kept,
exported and read again as one: ``mlp`` [layer], and ``type`` [layer, head], empty where a head is of none.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from interpboard.registry.component_names import MLP, TYPE_LETTERS
from interpboard.results.arrays import Axis, LabelledArray
from interpboard.results.intervals import UNSURE, unsure_entries, unsure_words
from interpboard.results.result import Result

MLP_EFFECTS, HEAD_TYPES = "mlp", "type"


@dataclass(frozen=True)
class HeadCells:
    """A grid as it is shown: ``values`` [row, column], and the letters of its cells by (row, column).

    A question mark is among them where an effect may be none; ``unsure`` says when.
    """

    axes: tuple[Axis, ...]
    values: np.ndarray
    letters: dict[tuple[int, int], str]
    unsure: str = ""

    @property
    def legend(self) -> str:
        """What the letters stand for: ``types: p previous token, i induction``; empty where there are
        none."""
        shown = set("".join(self.letters.values()))
        types = ", ".join(
            f"{letter} {name.replace('_', ' ')}"
            for name, letter in TYPE_LETTERS.items()
            if letter in shown
        )
        said = [f"types: {types}"] if types else []
        return "; ".join([*said, f"{UNSURE} {self.unsure}"] if UNSURE in shown else said)


def with_parts(
    result: Result, mlps: np.ndarray | None = None, types: dict[tuple[int, int], str] | None = None
) -> Result:
    """``result`` over layer and head with the effects of ``mlps`` [layer], and ``types`` by (layer, head)."""
    extra = dict(result.extra)
    if mlps is not None:
        extra[MLP_EFFECTS] = LabelledArray(result.axes[:1], mlps)
    if types:
        names = np.full(result.values.shape, "", dtype=object)
        for at, name in types.items():
            names[at] = name
        extra[HEAD_TYPES] = LabelledArray(result.axes, names)
    return msgspec.structs.replace(result, extra=extra)


def cells_of(result: Result) -> HeadCells:
    """The cells of a result over two axes, with a column for MLPs and letters where it has them."""
    axes, values = result.axes, result.values
    letters: dict[tuple[int, int], str] = {}
    words = unsure_words(result)
    unsure = [(int(row), int(column)) for row, column in np.argwhere(unsure_entries(result))]
    if tuple(axis.name for axis in axes) != ("layer", "head"):
        return HeadCells(axes, values, dict.fromkeys(unsure, UNSURE), words)
    types, mlps = result.extra.get(HEAD_TYPES), result.extra.get(MLP_EFFECTS)
    if types is not None and types.axes == axes:
        letters = {
            (row, column): TYPE_LETTERS[str(name)]
            for (row, column), name in np.ndenumerate(types.values)
            if name in TYPE_LETTERS
        }
    if mlps is not None and mlps.axes == axes[:1] and mlps.values.dtype != object:
        values = np.hstack([values, mlps.values.reshape(-1, 1)])
        axes = (axes[0], Axis(axes[1].name, (*axes[1].labels, MLP)))
    letters |= {at: letters.get(at, "") + UNSURE for at in unsure}
    return HeadCells(axes, values, letters, words)
