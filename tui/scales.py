"""Whether an analysis' values have a sign, and how they are coloured and written: by the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tui import words

if TYPE_CHECKING:
    import numpy as np

    from interpboard.visualization.colors import Scale


def scale_of(analysis: str, params: Mapping[str, Any], values: np.ndarray) -> Scale:
    """The scale of ``values``: with a sign, of shares, or of sizes."""
    from interpboard.analyses import ANALYSES
    from interpboard.visualization.colors import Scale

    return Scale.of_kind(values, ANALYSES[analysis].scale_with(params))


def written(value: float, scale: Scale) -> str:
    """A value in words, with a sign where it can have one."""
    return words.signed(value) if scale.diverging else words.plain(value)
