"""What a result looks like on a page, by its axes: plain data that the template writes down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interpboard.display import visible
from interpboard.results import Axis
from interpboard.results.intervals import UNSURE
from interpboard.results.labels import TOKEN_AXES
from interpboard.visualization.blocks import PageStyle
from interpboard.visualization.colors import Scale, short_number
from interpboard.visualization.html.picture import MOST_PIXELS, mosaic
from interpboard.visualization.numbers import divided, exponent_of, number, times
from interpboard.visualization.suiting import view_of_axes

MOST_CELLS = 40_000  # of a table: a browser lays out that many in about half a second
MOST_VALUES = 4_000_000  # of an array that a slider goes through
LOOK = PageStyle(100)


@dataclass(frozen=True)
class HtmlFigure:
    """``kind`` names the template's macro; the rest is what it writes."""

    kind: str
    body: Any


@dataclass(frozen=True)
class Heading:
    """A column or row: its label, its position where labels are tokens, and whether it is marked."""

    label: str
    position: int | None = None
    marked: bool = False


def headings(axis: Axis, marked: tuple[int, ...] = (), placed: bool = True) -> list[Heading]:
    """One a label; tokens with their positions, since tokens repeat. What stands for the tokens of many
    prompts has none (``placed``)."""
    tokens = placed and axis.name in TOKEN_AXES
    return [
        Heading(LOOK.label(axis.name, label), i if tokens else None, tokens and i in marked)
        for i, label in enumerate(axis.labels)
    ]


def figure(
    axes: tuple[Axis, ...],
    values: np.ndarray,
    scale: Scale,
    *,
    names: tuple[str, ...] | None = None,
    top: np.ndarray | None = None,
    marked: tuple[int, ...] = (),
    letters: Mapping[tuple[int, int], str] | None = None,
    legend: str = "",
    unsure: np.ndarray | None = None,
    unsure_words: str = "",
    placed: bool = True,
) -> HtmlFigure:
    """The figure of an array. ``names``: of the entries of one axis; ``top``: the token of each cell;
    ``marked``: positions of tokens that stand out (the subject); ``letters`` of cells, and what they
    stand for; ``unsure``: which entries of one axis may be no effect, and how that is said; ``placed``:
    whether tokens are those of a prompt, where they have positions."""
    if values.size == 0:
        return HtmlFigure("note", "(no values)")
    if values.dtype == object:
        return _text(axes, values)
    values = values.astype(np.float64)
    view = view_of_axes(axes)
    marks = np.zeros(values.shape, dtype=bool) if unsure is None else unsure
    said = unsure_words if marks.any() else ""
    if view == "number":
        return HtmlFigure("number", number(float(values), signed=scale.diverging))
    if view == "strip":
        return _strip(axes[0], values, scale, marked, marks, said)
    if view == "bars":
        return _bars(axes[0], values, scale, names, marks, said)
    if view != "many" and values.size <= MOST_CELLS:
        return (
            _lens(axes, values, top, scale)
            if top is not None
            else _grid(axes, values, scale, marked, letters or {}, legend, placed)
        )
    return _slices(axes, values, scale)


def _text(axes: tuple[Axis, ...], values: np.ndarray) -> HtmlFigure:
    if values.ndim == 1 and len(axes[0].labels) <= 200:
        pairs = zip(axes[0].labels, values.tolist(), strict=True)
        rows = [(LOOK.token(label), LOOK.token(str(value))) for label, value in pairs]
        return HtmlFigure("texts", {"axis": visible(axes[0].name), "rows": rows})
    return HtmlFigure("note", f"text of shape {values.shape}: see the JSON")


def _strip(
    axis: Axis,
    values: NDArray[Any],
    scale: Scale,
    marked: tuple[int, ...],
    unsure: np.ndarray,
    said: str,
) -> HtmlFigure:
    exponent = _exponent(values, scale)
    unit = 10.0**exponent
    cells = [
        (
            scale.level(value),
            LOOK.token(token),
            f"{_short(value / unit, scale)}{UNSURE if unsure[i] else ''}",
            i in marked,
            bool(unsure[i]),
        )
        for i, (value, token) in enumerate(zip(values.tolist(), axis.labels, strict=True))
    ]
    shown = {
        "cells": cells,
        "ends": _ends(scale, exponent),
        "times": times(exponent),
        "unsure": said,
    }
    return HtmlFigure("strip", shown)


def _bars(
    axis: Axis,
    values: NDArray[Any],
    scale: Scale,
    names: tuple[str, ...] | None,
    unsure: np.ndarray,
    said: str,
) -> HtmlFigure:
    order = list(range(len(values)))
    if len(values) > 500:
        far = np.abs(np.nan_to_num(values - scale.center))
        order = sorted(np.argsort(-far, kind="stable")[:500].tolist())
    rows = []
    for i in order:
        value = float(values[i])
        share = 0.0 if not math.isfinite(value) else abs(scale.share(value))
        label = LOOK.label(axis.name, axis.labels[i])
        name = LOOK.token(names[i]) if names else None
        shown = number(value, signed=scale.diverging)
        end = 0 if value < scale.center else 8  # the sign alone: the length has the size
        shown += f" {UNSURE}" if unsure[i] else ""
        length = f"{100 * share:.1f}"
        rows.append((label, name, length, end, shown, _exact(value), bool(unsure[i])))
    left_out = len(values) - len(rows)
    return HtmlFigure(
        "bars",
        {
            "axis": visible(axis.name),
            "named": names is not None,
            "rows": rows,
            "left_out": left_out,
            "unsure": said,
        },
    )


def _grid(
    axes: tuple[Axis, ...],
    values: NDArray[Any],
    scale: Scale,
    marked: tuple[int, ...],
    letters: Mapping[tuple[int, int], str],
    legend: str,
    placed: bool,
) -> HtmlFigure:
    level, exponent = _levels(values, scale), _exponent(values, scale)
    numbers = divided(values, exponent).tolist()
    rows = []
    for i, head in enumerate(headings(axes[0], marked, placed)):
        shown = [
            f"{letters.get((i, j), '')} {_short(value, scale)}".strip().replace(
                f"{UNSURE} ", UNSURE
            )
            for j, value in enumerate(numbers[i])
        ]
        unsure = [UNSURE in letters.get((i, j), "") for j in range(len(shown))]
        rows.append((head, list(zip(level[i], shown, unsure, strict=True))))
    table = _table(axes, rows, scale, marked, exponent, placed)
    return HtmlFigure("grid", table | {"types": legend})


def _lens(
    axes: tuple[Axis, ...], values: NDArray[Any], top: np.ndarray, scale: Scale
) -> HtmlFigure:
    level = _levels(values, scale)
    rows = []
    for i, head in enumerate(headings(axes[0])):
        row = zip(level[i], top[i].tolist(), values[i].tolist(), strict=True)
        cells = [(at, LOOK.token(str(token)), _percent(value)) for at, token, value in row]
        rows.append((head, cells))
    return HtmlFigure("lens", _table(axes, rows, scale, ()))


def _table(
    axes: tuple[Axis, ...],
    rows: Any,
    scale: Scale,
    marked: tuple[int, ...],
    exponent: int = 0,
    placed: bool = True,
) -> dict[str, Any]:
    return {
        "corner": " \\ ".join(visible(axis.name) for axis in axes),
        "columns": headings(axes[1], marked, placed),
        "rows": rows,
        "ends": _ends(scale, exponent),
        "times": times(exponent),
    }


def _slices(axes: tuple[Axis, ...], values: NDArray[Any], scale: Scale) -> HtmlFigure:
    shape = " × ".join(f"{len(axis.labels)} {visible(axis.name)}" for axis in axes)
    if values.size > MOST_VALUES:
        return HtmlFigure("note", f"{shape}: too many values for a page, see the JSON.")
    sliders = [(visible(axis.name), len(axis.labels) - 1) for axis in axes[:-2]]
    picture = mosaic(values, scale) if values.size <= MOST_PIXELS else None
    corner = " \\ ".join(visible(axis.name) for axis in axes[-2:])
    return HtmlFigure(
        "slices",
        {
            "shape": shape,
            "sliders": sliders,
            "picture": picture,
            "corner": corner,
            "ends": _ends(scale),
        },
    )


def _levels(values: NDArray[Any], scale: Scale) -> list[list[int]]:
    return [[scale.level(value) for value in row] for row in values.tolist()]


def _short(value: float, scale: Scale) -> str:
    shown = short_number(value, 5)
    return shown if scale.diverging else shown.removeprefix("+")


def _percent(value: float) -> str:
    return "" if math.isnan(value) or value < 0.005 else f"{100 * value:.0f}"


def _exact(value: float) -> str:
    return repr(value) if math.isfinite(value) else ""


def _exponent(values: NDArray[Any], scale: Scale) -> int:
    """What the numbers of a figure share; shares of 1 are written as they are."""
    return 0 if scale.of_shares else exponent_of(values)


def _ends(scale: Scale, exponent: int = 0) -> list[tuple[int, str]]:
    """What the first and the last colour stand for, written as the numbers between them are."""
    unit = 10.0**exponent
    low, high = (end / unit for end in scale.ends)
    if not scale.diverging:
        return [(4, "0"), (6, ""), (8, number(high))]
    ends = [number(end, signed=True).replace("-", "−") for end in (low, high)]
    return [(0, ends[0]), (2, ""), (4, number(scale.center / unit)), (6, ""), (8, ends[1])]
