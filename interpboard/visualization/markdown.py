"""A document as markdown, for people: a table a result. No mark-up, link or mention in a token acts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from interpboard.display import visible, visible_token
from interpboard.results import Document, PromptInfo, Result, opened_as
from interpboard.results.beside_heads import cells_of
from interpboard.results.intervals import UNSURE, unsure_entries, unsure_words
from interpboard.results.labels import visible_label
from interpboard.results.sites import rows_said, with_sites
from interpboard.visualization.blocks import PageStyle, shared_exponent
from interpboard.visualization.numbers import divided, number, seconds_words, share_words, times
from interpboard.visualization.parameters import plain_value
from interpboard.visualization.reading import name_of, scale_of
from interpboard.visualization.selections import RankedEntries, details, flat, selections
from interpboard.visualization.suiting import best_tokens, view_of
from interpboard.visualization.terminal import (
    SETTLED,
    entry_names,
    explained,
    settled_layers,
    strongest_line,
)

_LOOK = PageStyle(100)
_PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")


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


def markdown_section(result: Result, prompt: PromptInfo) -> list[str]:
    """One result: paragraphs, to be joined by empty lines."""
    placed, result = rows_said(result), with_sites(result)
    params = ", ".join(f"{visible(k)}={plain_value(v, _LOOK)}" for k, v in result.params.items())
    provenance = (
        _code(params),
        f"{seconds_words(result.elapsed_s)}",
        f"path {_code(result.made_by.path)}",
    )
    facts = [_escape(explained(result, prompt, _LOOK))]
    if result.meaning:
        facts.append(_escape(visible(result.meaning)))
    if placed:
        facts.append(f"rows: {_escape(placed)}")
    facts.append(", ".join(filter(None, provenance)))
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
        unsure = unsure_entries(result)
        named = entry_names(result)
        rows = [
            [
                _code(visible_label(axes[0].name, label)),
                f"{_value(_divided(value, unit), signed)}{f' {UNSURE}' if mark else ''}",
            ]
            for label, value, mark in zip(axes[0].labels, values, unsure, strict=True)
        ]
        for row, token in zip(rows, named or (), strict=False):
            row.insert(1, _code(visible_token(token)))
        table = _table([names[0], *(["token"] if named else []), f"value{factor}"], rows)
        return f"{table}\n\n{UNSURE}: {unsure_words(result)}." if unsure.any() else table
    if view != "many":
        labels = [_code(visible_label(axes[0].name, label)) for label in axes[0].labels]
        head = [
            " / ".join(names),
            *(_code(visible_label(axes[1].name, label)) for label in axes[1].labels),
        ]
        top = best_tokens(result)
        if top is None:
            return _markdown_grid(result, labels, " / ".join(names))
        shown = [
            [f"{_code(visible_token(str(t)))} {share_words(p)}" for t, p in zip(*pair, strict=True)]
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


def _markdown_grid(result: Result, labels: Sequence[str], corner: str) -> str:
    """Layers and heads, or any other two axes; with a letter behind the number where a cell has one."""
    shown = cells_of(result)
    scale = scale_of(result, shown.values)
    exponent = shared_exponent(shown.values, scale)
    numbers = divided(shown.values, exponent)
    rows = [
        [label, *(
            f"{_value(value, scale.diverging)} {shown.letters.get((i, j), '')}".rstrip()
            for j, value in enumerate(row)
        )]
        for i, (label, row) in enumerate(zip(labels, numbers, strict=True))
    ]  # fmt: skip
    across = shown.axes[1]
    head = [f"{corner} {times(exponent)}".rstrip()]
    head += [_code(visible_label(across.name, label)) for label in across.labels]
    legend = f"{shown.legend[0].upper()}{shown.legend[1:]}." if shown.letters else ""
    return "\n\n".join(filter(None, [_table(head, rows), legend]))


def _markdown_selection(part: RankedEntries) -> str:
    shown = [
        _value(value, part.signed) if part.signed else share_words(value) for _, value in part.rows
    ]
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


def code_span(text: str) -> str:
    """Any text as a code span of markdown in which nothing acts."""
    return _code(visible(text))
