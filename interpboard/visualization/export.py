"""A document as plain text, markdown, CSV and HTML. (JSON is the document's own ``to_json``.)

All of them are views: strings have passed ``display.visible``, so that a file can be shown with
``cat`` and no token acts; the exact strings are in the JSON.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

import numpy as np

from interpboard.display import visible, visible_token
from interpboard.results import Axis, Document, PromptInfo, Result, opened_as
from interpboard.results.arrays import names_of
from interpboard.results.labels import visible_label
from interpboard.visualization.blocks import PageStyle, shared_exponent
from interpboard.visualization.numbers import times
from interpboard.visualization.reading import name_of, scale_of
from interpboard.visualization.selections import RankedEntries, details, flat, selections
from interpboard.visualization.suiting import best_tokens, view_of
from interpboard.visualization.terminal import (
    SETTLED,
    entry_names,
    explained,
    number,
    plain_value,
    render,
    settled_layers,
    strongest_line,
)

TEXT_WIDTH = 100
_LOOK = PageStyle(TEXT_WIDTH)
_FIXED = ("model", "analysis", "params", "array", "metric", "target", "foil", "position")
# Characters that are legal in JSON as they are and yet act on a terminal that shows the file.
_ACTING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
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


def markdown(document: Document) -> str:
    """GitHub markdown: a table a result. Tokens are code, so no mark-up or mention in them acts."""
    model, prompt = document.model, document.prompt
    opened = opened_as(model)
    size = f"{model.layers} layers × {model.heads} heads"
    parts = [
        f"# InterpBoard: {_code(visible(model.name))}",
        f"{_code(visible(model.family))}, {size}, "
        f"{_code(visible(model.dtype))} on {_code(visible(model.device))}",
        *([", ".join(_code(visible(words)) for words in opened)] if opened else []),
        *(f"Note: {_code(visible(note))}" for note in model.notes),
        f"Prompt: {_code(visible(prompt.text))}",
    ]
    for result in document.results:
        parts += markdown_section(result, prompt)
    return "\n\n".join(parts) + "\n"


def csv_text(document: Document) -> str:
    """Long form, one row a value (RFC 4180): a table that other programs can filter and pivot.

    Columns: ``model``, ``analysis``, ``params`` (JSON), ``array`` (``values``, ``baseline``, the name of an
    extra, or ``partial`` with how many cells are computed), ``metric``, ``target``, ``foil`` (where the
    metric uses one), ``position``, then for each axis its label and its index, then ``value``; behind it
    ``target_id`` and ``foil_id``, and ``token_id`` (``query_id``, ``key_id``) for each axis of the prompt's
    tokens: tokens that are spelt alike differ there. What does not apply is empty, and so is NaN. A newline
    or a tab in a token is that character.

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
    writer.writerow([*_FIXED, *labels, "value", "target_id", "foil_id", *ids])
    for result in results:
        known = {name: _ids(result, name, prompt) if prompt else () for name in of_tokens}
        writer.writerows(_csv_rows(model, result, names, known))
    return out.getvalue()


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
            *map(_cell, (model, result.analysis, params, array, metric.name)),
            _cell(metric.target.token if metric.target else ""),
            _cell(metric.against.token if metric.against else ""),
            str(metric.position),
        ]
        chosen = [str(each.id) if each else "" for each in (metric.target, metric.foil)]
        for where, value in np.ndenumerate(values):
            labels = dict.fromkeys(names, ("", ""))
            for name, axis, k in zip(names_of(axes), axes, where, strict=True):
                labels[name] = (_cell(axis.labels[k]), str(k))
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
        return _cell(value)
    if isinstance(value, (float, np.floating)):
        return repr(float(value) + 0.0) if np.isfinite(value) else ""  # −0 is 0
    return "" if value is None else str(value)


def _cell(text: str) -> str:
    shown = "".join(
        part if part in "\n\t" else visible(part) for part in _BREAKS.split(text) if part
    )
    return "'" + shown if _FORMULA.match(shown) else shown


def markdown_section(result: Result, prompt: PromptInfo) -> list[str]:
    """One result: paragraphs, to be joined by empty lines."""
    params = ", ".join(f"{visible(k)}={plain_value(v, _LOOK)}" for k, v in result.params.items())
    made = (
        _code(params),
        f"{result.elapsed_s:.2g} s",
        f"path {_code(result.made_by.path)}",
    )
    facts = [_escape(explained(result, prompt, _LOOK))]
    if result.meaning:
        facts.append(_escape(visible(result.meaning)))
    facts.append(", ".join(filter(None, made)))
    for name, array in result.extra.items():
        if array.values.size == 1:
            facts.append(f"{_escape(visible(name))}: {_value(array.values.reshape(-1)[0])}")
    facts += [f"**warning**: {_escape(visible(warning))}" for warning in result.warnings]
    name = name_of(result)
    title = _code(visible(name)) if name == result.analysis else name
    parts = [f"## {title}", "\n".join(f"- {fact}" for fact in facts), _markdown_body(result)]
    parts += [_markdown_selection(part) for part in details(result, _LOOK)]
    whole = result.values.ndim == 2 and not selections(result, _LOOK)
    best = strongest_line(result, _LOOK) if whole else ""
    return [*parts, f"Strongest: {_escape(best)}"] if best else parts


def _markdown_body(result: Result) -> str:
    result = flat(result)
    values, axes = result.values, result.axes
    signed = scale_of(result).diverging
    names = [_escape(visible(axis.name)) for axis in axes]
    view = view_of(result)
    if view == "number":
        return _value(values[()], signed)
    exponent = shared_exponent(values, scale_of(result))
    unit, factor = 10.0**exponent, f" {times(exponent)}".rstrip()
    chosen = selections(result, _LOOK) if values.dtype != object else []
    if chosen:
        return "\n\n".join(_markdown_selection(part) for part in chosen)
    if view in ("strip", "bars", "circuit"):
        named = entry_names(result)
        rows = [
            [_code(visible_label(axes[0].name, label)), _value(_divided(value, unit), signed)]
            for label, value in zip(axes[0].labels, values, strict=True)
        ]
        for row, token in zip(rows, named or (), strict=False):
            row.insert(1, _code(visible_token(token)))
        return _table([names[0], *(["token"] if named else []), f"value{factor}"], rows)
    if view != "many":
        labels = [_code(visible_label(axes[0].name, label)) for label in axes[0].labels]
        head = [
            " / ".join(names),
            *(_code(visible_label(axes[1].name, label)) for label in axes[1].labels),
        ]
        top = best_tokens(result)
        if top is None:
            head[0] += factor
            cells = [[_value(_divided(value, unit), signed) for value in row] for row in values]
            return _table(head, ([a, *row] for a, row in zip(labels, cells, strict=True)))
        shown = [
            [f"{_code(visible_token(str(t)))} {_share(p)}" for t, p in zip(*pair, strict=True)]
            for pair in zip(top, values, strict=True)
        ]
        rows = [[a, *row] for a, row in zip(labels, shown, strict=True)]
        stays = settled_layers(result)
        note = "Each cell: the most likely token, and the target's probability."
        if stays is not None:
            rows.append(["settled", *(_code(visible_token(label)) for label in stays)])
            note += f" {SETTLED.capitalize()}."
        return f"{note}\n\n{_table(head, rows)}"
    shape = " × ".join(f"{len(axis.labels)} {name}" for axis, name in zip(axes, names, strict=True))
    return f"{shape}: too many dimensions for a table, see the JSON."


def _markdown_selection(part: RankedEntries) -> str:
    shown = [_value(value, part.signed) if part.signed else _share(value) for _, value in part.rows]
    table = _table(
        ["", "value"], ([_code(name), v] for (name, _), v in zip(part.rows, shown, strict=True))
    )
    return "\n\n".join(filter(None, [_escape(part.title), table, _escape(part.note)]))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _divided(value: Any, unit: float) -> Any:
    return value if unit == 1 or isinstance(value, str) else value / unit


def _value(value: Any, signed: bool = False) -> str:
    return _code(visible_token(value)) if isinstance(value, str) else number(value, signed=signed)


def _share(value: float) -> str:
    return number(value) if not np.isfinite(value) else f"{100 * value:.1f}%"


def _code(shown: str) -> str:
    """``shown`` (harmless already) as code. A pipe or a backtick cannot be written safely in a
    table's code span, so those go as an element whose punctuation is all entities."""
    if not shown:
        return ""
    if "|" in shown or "`" in shown:
        return f"<code>{_PUNCTUATION.sub(lambda found: f'&#{ord(found[0])};', shown)}</code>"
    return f"`{shown}`"


def _escape(shown: str) -> str:
    """``shown`` as running text in which no mark-up, link or mention acts."""
    return re.sub(r"[\\`*_{}\[\]<>|#~$@&]", lambda found: f"&#{ord(found[0])};", shown)


def escaped(text: str) -> str:
    """Any text as running markdown text in which nothing acts."""
    return _escape(visible(text))


def code(text: str) -> str:
    """Any text as a code span of markdown in which nothing acts."""
    return _code(visible(text))
