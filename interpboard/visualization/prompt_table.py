"""A table of prompts as CSV, JSON, markdown and HTML: one row a prompt."""

from __future__ import annotations

import csv
import json
from html import escape
from io import StringIO

import msgspec

from interpboard.display import visible, visible_token
from interpboard.results.prompt_rows import PromptRow, PromptTable
from interpboard.visualization.export import csv_cell
from interpboard.visualization.markdown import code_span
from interpboard.visualization.numbers import number

TABLE_FORMATS = ("csv", "json", "md", "html")
_FIELDS = tuple(PromptRow.__struct_fields__)
_HEADS = ("", "prompt", "answer", "probability", "metric", "settled", "strongest head", "right", "")


def prompt_table_text(table: PromptTable, form: str) -> str:
    """``table`` in one of ``TABLE_FORMATS``. Cells without a value are empty, never 0."""
    makers = {"csv": _csv, "json": _json, "md": _markdown, "html": _html}
    return makers[form](table)


def _json(table: PromptTable) -> str:
    return json.dumps(msgspec.to_builtins(table), indent=2) + "\n"


def _csv(table: PromptTable) -> str:
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["model", *_FIELDS])
    for row in table.rows:
        cells = (getattr(row, name) for name in _FIELDS)
        written = ("" if each is None else csv_cell(str(each)) for each in cells)
        writer.writerow([csv_cell(table.model.name), *written])
    return out.getvalue()


def _cells(row: PromptRow) -> list[str]:
    """A row in words: which number is what stands with it."""
    effect = "" if row.head_effect is None else number(row.head_effect, signed=True)
    kind = "" if row.head_exact is None else "exact" if row.head_exact else "estimated"
    metric = "" if row.metric is None else f"{row.metric_name} {number(row.metric)}"
    return [
        str(row.number),
        visible(row.prompt),
        "" if row.answer is None else visible_token(row.answer),
        "" if row.probability is None else number(row.probability),
        metric,
        visible(row.settled or ""),
        f"{row.head} {effect} {kind}" if row.head else "",
        {None: "", True: "right", False: f"wrong: {visible_token(row.target or '')}"}[row.right],
        visible(row.problem),
    ]


def _markdown(table: PromptTable) -> str:
    rows = [[code_span(cell) for cell in _cells(row)] for row in table.rows]
    lines = [_HEADS, ["---"] * len(_HEADS), *rows]
    title = f"# {code_span(table.file)}: {code_span(table.model.name)}"
    return f"{title}\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _html(table: PromptTable) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in _HEADS)
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(row)) + "</tr>"
        for row in table.rows
    )
    title = escape(f"{visible(table.file)}: {visible(table.model.name)}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        "<style>body{font-family:sans-serif} td,th{padding:2px 8px;text-align:left}</style></head>\n"
        f"<body><h1>{title}</h1>\n<table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n"
        "</tbody></table></body></html>\n"
    )
