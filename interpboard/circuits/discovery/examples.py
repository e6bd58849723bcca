"""The data of a circuit: clean prompts with their answers, each with a corrupted partner as long.

As text it is the lines of a dataset, which ``datasets.dataset_lines`` reads. Spaces around a prompt are not
its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interpboard.datasets.dataset_lines import (
    DatasetLine,
    dataset_lines,
    dataset_text,
    named_fields,
    read_line,
)
from interpboard.errors import BadParameter


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
    """Examples from lines (or a file of lines), or from strings, (clean, corrupted) pairs or mappings.

    A string among others is a line. Raises ``BadParameter`` for anything else, for a file that cannot be
    read and for the first line that cannot be used, by its number.
    """
    if isinstance(dataset, str):
        text, source = dataset, ""
        if "\n" not in text and len(text) < 1024 and os.path.isfile(text.strip()):
            source = text.strip()
            text = dataset_text(Path(source))
        examples = [_of_line(line) for line in dataset_lines(text, source)]
    else:
        found = (_of_item(item, number) for number, item in enumerate(dataset, 1))
        examples = [example for example in found if example is not None]
    if not examples:
        raise BadParameter("The dataset is empty.", "Give prompts, one a line: clean => corrupted.")
    return examples


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
