"""The data of a circuit: clean prompts with their answers, each with a corrupted partner as long.

As text it is the lines of a dataset, which ``datasets.dataset_lines`` reads. Spaces around a prompt are not
its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interpboard.datasets.dataset import Dataset, dataset_named, prompts_of
from interpboard.datasets.dataset_lines import (
    DatasetLine,
    dataset_lines,
    dataset_text,
    named_fields,
    read_line,
)
from interpboard.datasets.formats import suffix_of
from interpboard.datasets.rows import DatasetRow
from interpboard.errors import BadParameter

_OBJECTS = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class Example:
    """A clean prompt as given. ``target``, ``foil``: one token each or several; None: to be found.

    ``subject``: the words of ``clean`` that are swapped to make a corrupted partner.
    """

    clean: str
    corrupted: str | None = None
    target: tuple[str, ...] | None = None
    foil: tuple[str, ...] | None = None
    subject: str | None = None


def read_examples(dataset: str | Iterable[Any]) -> list[Example]:
    """Examples from lines, or a file of lines or rows (``datasets.formats``), or from strings, (clean,
    corrupted) pairs or mappings.

    A string among others is a line. Raises ``BadParameter`` for anything else, for a file that cannot be
    read and for the first line that cannot be used, by its number.
    """
    if isinstance(dataset, str):
        text, source = dataset, ""
        named = dataset_named(text)
        if named is not None and _is_of_rows(named):
            return [_of_row(row) for row in prompts_of(named)] or _empty()
        if named is not None:
            (file,) = named.files
            source = str(file)
            text = dataset_text(file)
        examples = [_of_line(line) for line in dataset_lines(text, source)]
    else:
        found = (_of_item(item, number) for number, item in enumerate(dataset, 1))
        examples = [example for example in found if example is not None]
    return examples or _empty()


def _is_of_rows(dataset: Dataset) -> bool:
    """Whether its file is read as rows. An object of a JSON file that has ``clean`` is a line too, which may
    name several answers; one that names ``text``, or whose columns are named, is a row."""
    (file,) = dataset.files
    if dataset.columns.taken:
        return True
    if file.suffix.lower() not in _OBJECTS:
        return suffix_of(file) != ".txt"
    first = next(dataset.rows(), None)
    named = dataset_text(file).lstrip("\ufeff \r\n").partition("\n")[0]
    return first is not None and not first.problem and '"clean"' not in named


def _empty() -> list[Example]:
    raise BadParameter("The dataset is empty.", "Give prompts, one a line: clean => corrupted.")


def _of_row(row: DatasetRow) -> Example:
    """A row of a table: the same columns as everywhere, one target and one foil at most."""
    target, foil = (None if own is None else (own,) for own in (row.target, row.foil))
    return Example(row.text, row.corrupted, target, foil, row.subject)


def _of_line(line: DatasetLine) -> Example:
    fields = line.usable()
    return Example(fields.clean, fields.corrupted, fields.target, fields.foil, fields.subject)


def _of_item(item: Any, number: int) -> Example | None:
    """An item of a list; None for a line that is blank or a comment."""
    if isinstance(item, Example):
        return item
    if isinstance(item, str):
        line = read_line(item, number)
        return None if line is None else _of_line(line)
    if isinstance(item, Mapping):
        fields = named_fields(item)
        return Example(
            *(fields[name] for name in ("clean", "corrupted", "target", "foil", "subject"))
        )
    if isinstance(item, Sequence) and len(item) == 2 and all(isinstance(i, str) for i in item):
        return Example(item[0], item[1])
    raise BadParameter(
        f"Item {number} is no example: {item!r:.60}.", "Give a prompt or a (clean, corrupted) pair."
    )
