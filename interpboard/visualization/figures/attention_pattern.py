"""Where one head looks: query × key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.registry.component_names import head_label
from interpboard.results import Result
from interpboard.visualization.figures import canvas
from interpboard.visualization.figures.grid import painted

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def attention_pattern(
    result: Result, layer: int, head: int, *, columns: int = 1, title: str | None = None
) -> Figure:
    """Probability from each query (row) to each key of ``head`` of ``layer``, numbered as the model does.

    Raises ``BadParameter`` for another result, or a layer or head that it does not hold.
    """
    values = pattern_of(result, layer, head)
    text = title or head_title(result, layer, head)
    return painted(
        result, values, result.axes[2:], columns=columns, title=text, label="attention probability"
    )


def pattern_of(result: Result, layer: int, head: int) -> np.ndarray:
    """[query, key] of one head. Raises ``BadParameter`` as ``attention_pattern`` does."""
    if tuple(axis.name for axis in result.axes) != ("layer", "head", "query", "key"):
        raise BadParameter(
            f"{visible(result.analysis)} holds no attention patterns.",
            "Draw a result of the analysis attention.",
        )
    where = []
    for axis, chosen in zip(result.axes[:2], (layer, head), strict=True):
        if str(chosen) not in axis.labels:
            first, last = axis.labels[0], axis.labels[-1]
            raise BadParameter(
                f"The result has no {axis.name} {chosen}.",
                f"It has {axis.name}s {first} to {last}.",
            )
        where.append(axis.labels.index(str(chosen)))
    values: np.ndarray = result.values[where[0], where[1]]
    return values


def head_title(result: Result, layer: int, head: int) -> str:
    """The analysis and the head."""
    return f"{canvas.analysis_name(result)} of {head_label(layer, head)}"
