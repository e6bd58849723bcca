"""Effects or scores of every head: layer × head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.results import Axis, Result
from interpboard.visualization.colors import Scale
from interpboard.visualization.figures import canvas
from interpboard.visualization.figures.grid import painted
from interpboard.visualization.reading import scale_of_unknown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def head_grid(
    result: Result, *, of: str | None = None, columns: int = 1, title: str | None = None
) -> Figure:
    """A cell a head, layer 0 at the bottom.

    ``of``: an entry of the first axis where there are three (a score of ``head_scores``), or a named
    extra over layer and head. Raises ``BadParameter`` where the result has no such grid.
    """
    part = heads_of(result, of)
    return painted(
        result, part.values, part.axes, columns=columns, title=title, label=part.label,
        scale=part.scale,
    )  # fmt: skip


@dataclass(frozen=True)
class Heads:
    """``values`` [layer, head]; ``label`` says what they are."""

    values: np.ndarray
    axes: tuple[Axis, ...]
    scale: Scale
    label: str


def heads_of(result: Result, of: str | None) -> Heads:
    """The part of ``result`` that ``of`` names. Raises ``BadParameter`` as ``head_grid`` does."""
    over = ("layer", "head")
    names = tuple(axis.name for axis in result.axes)
    if of is None and names == over:
        scale = canvas.numeric_scale_of(result, result.values)
        return Heads(result.values, result.axes, scale, canvas.meaning_of(result))
    if of is not None and names[1:] == over and of in result.axes[0].labels:
        values = result.values[result.axes[0].labels.index(of)]
        label = f"{visible(result.axes[0].name)} {visible(of)}: {canvas.meaning_of(result)}"
        return Heads(values, result.axes[1:], canvas.numeric_scale_of(result, values), label)
    choices = list(result.axes[0].labels) if names[1:] == over else []
    choices += [k for k, v in result.extra.items() if tuple(a.name for a in v.axes) == over]
    if of in result.extra and of in choices:
        extra = result.extra[of]
        return Heads(extra.values, extra.axes, scale_of_unknown(extra.values), visible(of))
    has = f"Choose of={', '.join(map(visible, choices))}." if choices else "It has none."
    raise BadParameter(f"{visible(result.analysis)}: no such grid of layer and head.", has)
