"""The cells that rows of one analysis have together: equal axes, but for tokens, whose roles differ by row.

Nothing is padded: a cell that a row does not have is not counted for it, and axes that differ otherwise are
refused by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.results import Axis
from interpboard.sweeps.alignment import OF_TOKENS, by_choice, by_role, ordered
from interpboard.sweeps.row_results import RowResult

_SHOWN = 40


class LabelSpace:
    """The axes so far. ``by_roles``: tokens are put together by role, else by where they stand."""

    def __init__(self, by_roles: bool) -> None:
        self.by_roles = by_roles
        self.axes: tuple[Axis, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of values in this space."""
        return tuple(len(axis.labels) for axis in self.axes or ())

    @property
    def cells(self) -> int:
        """How many there are."""
        return prod(self.shape)

    def aligned(self, result: RowResult) -> tuple[tuple[Axis, ...], np.ndarray]:
        """A row's axes and values [axis, …], its tokens by what they are. Raises ``BadParameter``."""
        values = result.values.reshape([len(axis.labels) for axis in result.axes])
        own, values = by_choice(result.axes, values, result.target_id)
        if self.by_roles:
            return by_role(own, values, result.roles, result.border)
        numbered = tuple(
            Axis(axis.name, tuple(map(str, range(len(axis.labels)))))
            if axis.name in OF_TOKENS
            else axis
            for axis in own
        )
        return numbered, values

    def take(self, axes: Sequence[Axis]) -> bool:
        """Grow to hold ``axes``; True if that changed anything. Raises ``BadParameter`` if they differ."""
        if self.axes is None:
            self.axes = tuple(axes)
            return True
        if tuple(axes) == self.axes:
            return False
        if [a.name for a in axes] != [a.name for a in self.axes]:
            raise BadParameter(f"Rows have the axes {_names(self.axes)}, and {_names(axes)}.")
        grown = tuple(self._joined(a, b) for a, b in zip(self.axes, axes, strict=True))
        changed = grown != self.axes
        self.axes = grown
        return changed

    def places(self, axes: Sequence[Axis]) -> np.ndarray:
        """Where the cells of ``axes`` stand among all, flat, in their order."""
        assert self.axes is not None
        steps = [
            [own.labels.index(label) for label in axis.labels]
            for own, axis in zip(self.axes, axes, strict=True)
        ]
        if not steps:
            return np.zeros(1, dtype=np.int64)
        return np.ravel_multi_index(np.ix_(*steps), self.shape).reshape(-1)

    def _joined(self, own: Axis, other: Axis) -> Axis:
        if own.labels == other.labels:
            return own
        if own.name not in OF_TOKENS:
            raise BadParameter(
                f"Rows differ in {own.name}: {_labels(own)}, and {_labels(other)}.",
                "Ask for the same of every row.",
            )
        if not self.by_roles:
            raise BadParameter(
                f"Rows have {len(own.labels)} and {len(other.labels)} tokens, which do not stand together.",
                "Put them together by what they are: --align role.",
            )
        return Axis(own.name, ordered([*own.labels, *other.labels]))


def _names(axes: Sequence[Axis]) -> str:
    return "[" + ", ".join(visible(axis.name) for axis in axes) + "]"


def _labels(axis: Axis) -> str:
    text = visible(", ".join(axis.labels))
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
