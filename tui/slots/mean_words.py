"""Means over rows in words: of how many rows, how sure, and of a difference of groups its p-values. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from interpboard.display import visible
from interpboard.results.arrays import names_of
from interpboard.results.intervals import (
    SURE,
    TOO_FEW,
    UNSURE,
    of_two_groups,
    unsure_entries,
    unsure_words,
)
from interpboard.results.labels import visible_label
from interpboard.results.signs import legend_of
from interpboard.results.sites import with_sites
from tui import words
from tui.session.means import Means

if TYPE_CHECKING:
    from interpboard.results import Result
    from tui.slots.framed_box import Ink


def neutral_of(result: Result) -> float:
    """The value that says nothing: of a difference 0, whatever it is of its sides."""
    return 0.0 if of_two_groups(result) else result.neutral


def sides_legend(result: Result) -> str:
    """What values on either side say."""
    if of_two_groups(result):
        return "B − A: − smaller in B, + larger in B"
    return legend_of(result.meaning, result.neutral)


def mean_title(means: Means, result: Result | None) -> str:
    """``mean over 998 rows (2 left out): head ablation, logit``; of a difference ``B − A over 998 rows``."""
    if result is None:
        return "mean over rows"
    rows = int(result.params["rows"])
    chosen = bool(means.where or means.view)
    of = f" of {means.rows:,}" if chosen and means.rows is not None else ""
    out = 0 if chosen or means.rows is None else means.rows - rows
    left = f" ({out:,} left out)" if out > 0 else ""
    what = "B − A" if of_two_groups(result) else "mean"
    named = (words.analysis_title(result.analysis), measure_of(result))
    return f"{what} over {rows:,}{of} rows{left}: {', '.join(filter(None, named))}"


def measure_of(result: Result) -> str:
    """What its values are: the metric, but of what is a probability or a share whatever the metric; empty of
    what has a measure of its own."""
    from interpboard.registry import ANALYSES  # with the first result

    known = ANALYSES.get(result.analysis)
    if known is not None and known.scale_with(result.params) == "probability":
        return "probability" if result.meaning.startswith("probability") else "share"
    return "" if known is not None and known.own_measure else result.metric.name


def mean_legend(result: Result) -> str:
    """What the mark is, where a cell has it, and which interval."""
    mark = f"  {UNSURE} {unsure_words(result)}" if unsure_entries(result).any() else ""
    return mark if of_two_groups(result) else f"{mark}  {result.params.get('interval', '')}"


def mean_readout(result: Result, place: int, ink: Ink) -> Text:
    """The cell ``place``: mean, interval, standard error, rows, and how many of them are on its side."""
    text = Text(f" {cell_name(result, place)}", ink("text", bold=True))
    value = _number(result, None, place)
    if value != value:
        return text.append("  no row has this", ink("muted"))
    difference = of_two_groups(result)
    text.append(f"  {'B − A' if difference else 'mean'} ", ink("accent", bold=True))
    text.append(words.signed(value), ink("accent", bold=True))
    if difference:
        own, family = (_number(result, name, place) for name in ("p_value", "p_family"))
        text.append(f"  p {_share(own)}", ink("text"))
        text.append(f", {_share(family)} over all cells", ink("text"))
        told = "" if family < SURE else "  not told apart"
        text.append(told, ink("warning"))
    else:
        low, high = (_number(result, name, place) for name in ("low", "high"))
        if low != low or high != high:
            text.append(f"  {TOO_FEW}", ink("warning"))
        else:
            text.append(f" [{words.signed(low)}, {words.signed(high)}]", ink("text"))
            if unsure_entries(result).reshape(-1)[place]:
                text.append(f"  contains {result.neutral:g}", ink("warning"))
    error = _number(result, "se", place)
    if error == error:
        text.append(f"  se {words.unsigned(error)}", ink("muted"))
    for name, said in (("same_sign", "{} of rows on its side"), ("n", "{} rows")):
        if name in result.extra:
            number = _number(result, name, place)
            shown = f"{number:,.0f}" if name == "n" else words.percent(number)
            text.append(f"  {said.format(shown)}", ink("muted"))
    return text


def cell_name(result: Result, place: int) -> str:
    """The labels of a cell, those of axes of one entry left out: ``L2 H4``, ``in 3 subject last``."""
    known = with_sites(result)
    at = np.unravel_index(place, known.values.shape) if known.axes else ()
    each = [
        (axis, name, int(i))
        for name, axis, i in zip(names_of(known.axes), known.axes, at, strict=True)
    ]
    many = [own for own in each if len(own[0].labels) > 1] or each
    return " ".join(label(name, axis.labels[i]) for axis, name, i in many) or "value"


def label(axis: str, text: str) -> str:
    """A label as it is shown: ``L3``, ``H7``, a role as it is called."""
    letter = {"layer": "L", "head": "H"}.get(axis, "") if text[:1].isdigit() else ""
    if axis in ("token", "query", "key", "source"):  # a role, no token: its spaces are spaces
        return words.shorten(visible(text))
    return letter + words.shorten(visible_label(axis, text))


def _number(result: Result, extra: str | None, place: int) -> float:
    array = result.values if extra is None else result.extra[extra].values
    return float(array.reshape(-1)[place])


def _share(p: float) -> str:
    return "·" if p != p else "<0.001" if p < 0.001 else f"{p:.3f}"
