"""A document as plain text, markdown, CSV and HTML. (JSON is the document's own ``to_json``.)

All of them are views: strings have passed ``display.visible``, so that a file can be shown with
``cat`` and no token acts; the exact strings are in the JSON.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from itertools import repeat
from operator import add
from typing import Any

import numpy as np

from interpboard.display import visible
from interpboard.results import Axis, Document, PromptInfo, Result
from interpboard.results.arrays import names_of
from interpboard.results.intervals import can_be_unsure, unsure_entries
from interpboard.visualization.markdown import markdown
from interpboard.visualization.terminal import render

__all__ = ["csv_of", "csv_text", "html", "json_text", "markdown", "text"]

TEXT_WIDTH = 100
_FIXED = ("model", "analysis", "params", "array", "metric", "target", "foil", "position")
# Characters that are legal in JSON as they are and yet act on a terminal that shows the file.
_ACTING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_FORMULA = re.compile(r"[\n\t]*[=+\-@](?=.*[A-Za-z])(?=.*[(|!\[\\])", re.DOTALL)
_OF_TOKENS = ("token", "query", "key", "source")
_BREAKS = re.compile(r"([\n\t])")


def text(document: Document, width: int = TEXT_WIDTH) -> str:
    """The page of ``visualization.terminal`` without colour."""
    return render(document, width)


def json_text(document: Document) -> str:
    """The document's JSON, with the characters that act on terminals escaped. Nothing is lost."""
    return _ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", document.to_json()) + "\n"


def html(document: Document) -> str:
    """One self-contained page; see ``visualization.html``."""
    from interpboard.visualization.html import (
        report,  # late: only this form needs a template engine
    )

    return report(document)


def csv_text(document: Document) -> str:
    """Long form, one row a value (RFC 4180): a table that other programs can filter and pivot.

    Columns: ``model``, ``analysis``, ``params`` (JSON), ``array`` (``values``, ``baseline``, the name of an
    extra, or ``partial`` with how many cells are computed), ``metric``, ``target``, ``foil`` (where the
    metric uses one), ``position``, then for each axis its label and its index, then ``value``; behind it
    ``target_id`` and ``foil_id``, and ``token_id`` (``query_id``, ``key_id``) for each axis of the prompt's
    tokens: tokens that are spelt alike differ there. Where there are intervals, or rounding was measured,
    ``unsure`` is last: whether a value may be no effect (``true``, ``false``). What does not apply is empty,
    and so is NaN. A newline or a tab in a token is that character.

    A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula, and a
    hostile vocabulary could hold one that calls a function. Only those get an apostrophe in front:
    beginning so, with a letter and one of ``( | ! [ \\`` in them. To guard every token that begins
    with a minus would change ``-``, ``+1`` or ``-old``, which are ordinary tokens, in the hands of
    everyone who reads the file with a program.
    """
    return csv_of(document.model.name, document.results, document.prompt)


def csv_of(model: str, results: Sequence[Result], prompt: PromptInfo | None = None) -> str:
    """The same for results of a model of that name, without ids of tokens where no prompt is given."""
    names = list(
        dict.fromkeys(
            name
            for result in results
            for axes in (result.axes, *(array.axes for array in result.extra.values()))
            for name in names_of(axes)
        )
    )
    of_tokens = [name for name in names if prompt and any(_ids(r, name, prompt) for r in results)]
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    labels = (c for name in names for c in (name, f"{name}_index"))
    ids = (f"{name}_id" for name in of_tokens)
    sure = ["unsure"] if any(map(can_be_unsure, results)) else []
    writer.writerow([*_FIXED, *labels, "value", "target_id", "foil_id", *ids, *sure])
    for result in results:
        known = {name: _ids(result, name, prompt) if prompt else () for name in of_tokens}
        rows = _csv_rows(model, result, names, known)
        writer.writerows(map(add, rows, _unsure(result)) if sure else rows)
    return out.getvalue()


def _unsure(result: Result) -> Iterator[list[str]]:
    """The last column: one for each value, and nothing for the rows behind them."""
    if can_be_unsure(result):
        yield from (["true" if each else "false"] for each in unsure_entries(result).reshape(-1))
    yield from repeat([""])


def _ids(result: Result, name: str, prompt: PromptInfo) -> tuple[int, ...]:
    """The ids of the tokens of the axis ``name``, if it is of the prompt's, or begins with those."""
    if name not in _OF_TOKENS:
        return ()
    every = (result.axes, *(array.axes for array in result.extra.values()))
    for axes in every:
        for own, axis in zip(names_of(axes), axes, strict=True):
            if own == name and axis.labels and prompt.tokens:
                length = min(len(axis.labels), len(prompt.tokens))
                same = axis.labels[:length] == prompt.tokens[:length]
                return prompt.token_ids if same and length == len(prompt.tokens) else ()
    return ()


def _csv_rows(
    model: str, result: Result, names: Sequence[str], ids: Mapping[str, Sequence[int]]
) -> Iterator[list[str]]:
    metric = result.metric
    params = json.dumps(result.params, ensure_ascii=False, default=str)
    arrays: list[tuple[str, tuple[Axis, ...], np.ndarray]] = [
        ("values", result.axes, result.values),
        *((name, array.axes, array.values) for name, array in result.extra.items()),
    ]
    if result.baseline is not None:
        arrays.append(("baseline", (), np.array(result.baseline)))
    if result.partial is not None:  # said in a row: a missing value alone may be an undefined one
        arrays.append(("partial", (), np.array(str(result.partial), dtype=object)))
    for array, axes, values in arrays:
        fixed = [
            *map(csv_cell, (model, result.analysis, params, array, metric.name)),
            csv_cell(metric.target.token if metric.target else ""),
            csv_cell(metric.against.token if metric.against else ""),
            str(metric.position) if metric.position >= 0 and not metric.over_text else "",
        ]
        chosen = [str(each.id) if each else "" for each in (metric.target, metric.foil)]
        for where, value in np.ndenumerate(values):
            labels = dict.fromkeys(names, ("", ""))
            for name, axis, k in zip(names_of(axes), axes, where, strict=True):
                labels[name] = (csv_cell(axis.labels[k]), str(k))
            at = {name: int(index) for name, (_, index) in labels.items() if index}
            yield [
                *fixed,
                *(c for name in names for c in labels[name]),
                _csv_value(value),
                *chosen,
                *(
                    str(own[at[n]]) if at.get(n, len(own)) < len(own) else ""
                    for n, own in ids.items()
                ),
            ]


def _csv_value(value: Any) -> str:
    if isinstance(value, str):
        return csv_cell(value)
    if isinstance(value, (float, np.floating)):
        return repr(float(value) + 0.0) if np.isfinite(value) else ""  # −0 is 0
    return "" if value is None else str(value)


def csv_cell(text: str) -> str:
    shown = "".join(
        part if part in "\n\t" else visible(part) for part in _BREAKS.split(text) if part
    )
    return "'" + shown if _FORMULA.match(shown) else shown
