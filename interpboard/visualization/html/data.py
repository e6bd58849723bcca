"""The numbers behind a figure, for the page's script: labels once, arrays as base64 of raw bytes."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from interpboard.display import visible
from interpboard.results import Axis, LabelledArray, Result
from interpboard.visualization.colors import Scale
from interpboard.visualization.html.figures import LOOK, MOST_VALUES

_SMALL = 20_000  # values up to which an array keeps all its digits
_TOPS = ("top_tokens", "top_probs")
_MOST_TOPS = 5


def card_data(result: Result, scale: Scale, value_name: str) -> dict[str, Any] | None:
    """Axes, the values and every extra over the same axes; the best tokens of each cell if it has
    them. None where a page has no use for it."""
    values = result.values
    if values.dtype == object or values.ndim == 0 or not 0 < values.size <= MOST_VALUES:
        return None
    arrays = {value_name: _numbers(values, scale)}
    for name, extra in result.extra.items():
        if extra.axes == result.axes and extra.values.dtype != object and values.ndim <= 2:
            arrays.setdefault(visible(name), _numbers(extra.values, _scale(extra.values)))
    return {"axes": [_axis(axis) for axis in result.axes], "arrays": arrays, "top": _top(result)}


def _axis(axis: Axis) -> dict[str, Any]:
    return {
        "name": visible(axis.name),
        "labels": [LOOK.label(axis.name, label) for label in axis.labels],
    }


def _scale(values: np.ndarray) -> Scale:
    finite = values[np.isfinite(values)].astype(np.float64)
    largest = float(np.abs(finite).max()) if finite.size else 0.0
    return Scale(largest or 1.0, diverging=bool(finite.size and finite.min() < 0))


def _numbers(values: np.ndarray, scale: Scale) -> dict[str, Any]:
    """Exact where there are few; of many, shares between 0 and 1 as 16-bit steps of 1/65535, other
    numbers as float32 unless one is too large for it."""
    floats = np.ascontiguousarray(values, dtype=np.float64)
    told = {"limit": scale.limit, "diverging": scale.diverging, "center": scale.center}
    if floats.size <= _SMALL or np.nanmax(np.abs(floats)) > np.finfo(np.float32).max:
        return {"kind": "f64", "data": _base64(floats.astype("<f8")), **told}
    if ((floats >= 0) & (floats <= 1)).all():
        return {"kind": "u16", "data": _base64(np.rint(floats * 65535).astype("<u2")), **told}
    return {"kind": "f32", "data": _base64(floats.astype("<f4")), **told}


def _top(result: Result) -> dict[str, Any] | None:
    """The first few tokens of each cell as indices into their distinct texts, and their shares."""
    found: list[LabelledArray | None] = [result.extra.get(name) for name in _TOPS]
    tokens, probs = found
    if tokens is None or probs is None:
        return None
    if tokens.axes[:-1] != result.axes or probs.axes != tokens.axes or not tokens.values.size:
        return None
    kept = tokens.values[..., :_MOST_TOPS]
    texts, index = np.unique(kept.astype(str), return_inverse=True)
    return {
        "count": kept.shape[-1],
        "texts": [LOOK.token(str(text)) for text in texts],
        "index": _base64(index.reshape(-1).astype("<u4")),
        "probs": _numbers(probs.values[..., :_MOST_TOPS], Scale(1.0, diverging=False)),
    }


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")
