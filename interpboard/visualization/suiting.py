"""Which view suits a result: decided here, by its axes, and read by the page, print, the mouse and the web.

| view | what has it |
|---|---|
| ``number`` | no axis |
| ``strip`` | [token]: colours on the text |
| ``circuit`` | [edge], with the edges that are in the circuit |
| ``bars`` | any other single axis |
| ``heads`` | [layer, head] |
| ``lens`` | two axes, with the best token of each cell in ``extra`` |
| ``trace`` | [layer, token], the subject's tokens named among the parameters |
| ``grid`` | any other two axes |
| ``many`` | more than two axes |

What is too large for a page is shown by its strongest entries, whatever its view: see ``selections``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from interpboard.results import Axis, LabelledArray, Result

View = Literal["number", "strip", "circuit", "bars", "heads", "lens", "trace", "grid", "many"]


def view_of(result: Result) -> View:
    """The view of ``result``."""
    view = view_of_axes(result.axes)
    if is_circuit(result):
        return "circuit"
    if best_tokens(result) is not None:
        return "lens"
    names = tuple(axis.name for axis in result.axes)
    if names == ("layer", "token") and "subject" in result.params:
        return "trace"
    return view


def view_of_axes(axes: tuple[Axis, ...]) -> View:
    """The view of an array of which no more is known than its axes."""
    names = tuple(axis.name for axis in axes)
    if names == ("token",):
        return "strip"
    if names == ("layer", "head"):
        return "heads"
    by_number: tuple[View, ...] = ("number", "bars", "grid")
    return by_number[len(names)] if len(names) < len(by_number) else "many"


def is_circuit(result: Result) -> bool:
    """Whether ``result`` can be drawn as a circuit."""
    return tuple(axis.name for axis in result.axes) == ("edge",) and "in_circuit" in result.extra


def best_tokens(result: Result) -> np.ndarray | None:
    """The best token of each cell, where a result carries ``top_tokens`` over its own axes, of a lens."""
    top: LabelledArray | None = result.extra.get("top_tokens")
    if top is None or len(result.axes) != 2 or result.values.dtype == object:
        return None
    if top.axes[:-1] != result.axes or not top.axes[-1].labels:
        return None
    return np.asarray(top.values[..., 0])
