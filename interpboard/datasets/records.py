"""A record of a file's columns as a row, under our names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from interpboard.datasets.columns import Columns
from interpboard.datasets.rows import DatasetRow, UnusableRow, row_of_record
from interpboard.display import visible
from interpboard.errors import BadParameter


def row_of_columns(record: dict[str, Any], columns: Columns, number: int, place: str) -> DatasetRow:
    """The row that ``record`` is, with its problem where it is none."""
    try:
        return row_of_record(columns.named(record), number, place)
    except UnusableRow as error:
        return DatasetRow(number, place, problem=str(error))


def check_columns(path: Path, columns: Columns, head: list[str]) -> None:
    """Raise ``BadParameter`` where no row of the file can have a text, or a column is there twice."""
    if twice := [name for name in dict.fromkeys(head) if head.count(name) > 1]:
        raise BadParameter(f"{path} has the column {twice[0]!r} twice.", "Rename one.")
    if missing := columns.missing(head):
        raise BadParameter(
            f"{path} has no column {missing[0]!r}.", f"It has {', '.join(head) or 'none'}."
        )
    named = {*head, *(ours for ours, _ in columns.taken)}
    if not named & {"text", "clean", "messages"}:
        if len(head) == 1 and (mark := next((mark for mark in ";\t|," if mark in head[0]), "")):
            raise BadParameter(
                f"{path} has {visible(mark)} between its columns.",
                "Save it with commas, or with tabs as .tsv.",
            )
        raise BadParameter(
            f"{path} has no column text; it has {', '.join(head) or 'none'}.",
            f"Say which it is: --columns text={head[0] if head else 'NAME'}.",
        )
