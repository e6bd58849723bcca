"""The files of a dataset: text, JSON lines, JSON, CSV, Parquet, Arrow and templates, read a row at a time.

None of them is held whole, but for JSON and templates, which have an end that must be seen. A row that a
format cannot give, half a line or a text that is no UTF-8, is a row with its problem.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from interpboard.datasets.arrow_files import arrow_rows, parquet_rows
from interpboard.datasets.columns import Columns
from interpboard.datasets.dataset_lines import read_line
from interpboard.datasets.records import check_columns, row_of_columns
from interpboard.datasets.rows import (
    NAMED_COLUMNS,
    DatasetRow,
    UnusableRow,
    refuse_names_twice,
    row_of_line,
)
from interpboard.datasets.templates import read_template
from interpboard.datasets.text_files import (
    LONGEST_LINE,
    TOO_LONG,
    byte_lines,
    is_cut,
    reading_file,
    texts,
    whole,
)
from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.files.json_names import Repeated, json_marked

_QUOTE_BEHIND_SPACE = (
    "has a quote behind a space, which would be part of the text: take the space away, or quote "
    "the space too"
)

Reader = Callable[[Path, Columns, int], Iterator[DatasetRow]]


def read_rows(path: Path, columns: Columns, first: int) -> Iterator[DatasetRow]:
    """The rows of one file, numbered from ``first``. Raises ``BadParameter``, ``MissingPackage``."""
    return READERS[suffix_of(path)](path, columns, first)


def suffix_of(path: Path) -> str:
    """What kind of file it is, by its name; of ``.jsonl.gz`` what is inside. ``.txt`` for any other."""
    name = path.name.lower().removesuffix(".gz")
    found = Path(name).suffix
    return found if found in READERS else ".txt"


def _lines(path: Path, columns: Columns, first: int) -> Iterator[DatasetRow]:
    if columns.taken:
        raise BadParameter(
            f"{path} is a file of lines, which has no columns.", "Leave --columns out."
        )
    number = first
    for at, text in texts(path):
        if isinstance(text, UnusableRow):
            yield DatasetRow(number, f"{path.name}:{at}", problem=str(text))
        else:
            if at == 1 and _is_head(text):
                raise BadParameter(
                    f"{path} begins as a table does, with the names {visible(text)[:60]}.",
                    "Name it .csv, or .tsv where tabs stand between them.",
                )
            line = read_line(text, at, path.name)
            if line is None:
                continue
            yield row_of_line(line, number, f"{path.name}:{at}")
        number += 1


def _is_head(line: str) -> bool:
    """Whether ``line`` has names of our columns and nothing else, two at least."""
    names = [name.strip().strip('"').lower() for name in re.split(r"[,;\t]", line)]
    return len(names) > 1 and set(names) <= {*NAMED_COLUMNS, "clean"}


def _json_lines(path: Path, columns: Columns, first: int) -> Iterator[DatasetRow]:
    number = first
    for at, text in texts(path):
        if not isinstance(text, UnusableRow) and not text.strip():
            continue
        try:
            if isinstance(text, UnusableRow):
                raise text
            yield row_of_columns(_object(_parsed(text)), columns, number, f"{path.name}:{at}")
        except UnusableRow as error:
            yield DatasetRow(number, f"{path.name}:{at}", problem=str(error))
        number += 1


def _json(path: Path, columns: Columns, first: int) -> Iterator[DatasetRow]:
    try:
        found = json_marked(whole(path))
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise BadParameter(
            f"{path} is no JSON: {reason}.", "One object a line is .jsonl."
        ) from None
    if isinstance(found, Repeated):
        raise BadParameter(f"{path} has {found.name!r} twice.", "Leave one.")
    if isinstance(found, dict):
        found = found.get("examples")  # of a behaviour, as circuits have them
    if not isinstance(found, list):
        raise BadParameter(f"{path} is no list of rows.", "Write [{...}, ...], or use .jsonl.")
    for at, record in enumerate(found):
        place = f"{path.name}[{at}]"
        try:
            yield row_of_columns(_object(record), columns, first + at, place)
        except UnusableRow as error:
            yield DatasetRow(first + at, place, problem=str(error))


def _comma_separated(path: Path, columns: Columns, first: int) -> Iterator[DatasetRow]:
    return _separated(path, columns, first, ",")


def _tab_separated(path: Path, columns: Columns, first: int) -> Iterator[DatasetRow]:
    return _separated(path, columns, first, "\t")


def _separated(path: Path, columns: Columns, first: int, delimiter: str) -> Iterator[DatasetRow]:
    csv.field_size_limit(LONGEST_LINE)
    with reading_file(path) as file:
        cut, lines = list[int](), list[str]()
        # Strict: a quote that is never closed would make all lines behind it one row, without a word.
        reader = csv.reader(_decoded(path, file, cut, lines), delimiter=delimiter, strict=True)
        try:
            names = next(reader, [])
        except csv.Error as error:
            raise BadParameter(
                f"{path} is no CSV: {_reason(error)}.", "Check its first line."
            ) from None
        if _has_quote_behind_space(names, lines, delimiter):
            raise BadParameter(f"The head of {path} {_QUOTE_BEHIND_SPACE}.")
        head = [name.strip() for name in names]
        check_columns(path, columns, head)
        number = first
        while True:
            begin = reader.line_num + 1
            lines.clear()
            try:
                values = next(reader, None)
            except csv.Error as error:
                over = f" (lines {begin} to {reader.line_num})" * (reader.line_num > begin)
                problem = f"is no CSV: {_reason(error)}{over}"
                yield DatasetRow(number, f"{path.name}:{begin}", problem=problem)
                number += 1
                continue
            if values is None:
                return
            if not values:
                continue
            place = f"{path.name}:{reader.line_num}"
            if cut and cut[-1] >= begin:
                yield DatasetRow(number, place, problem=TOO_LONG)
            elif len(values) != len(head):
                problem = f"has {len(values)} columns, the head has {len(head)}"
                yield DatasetRow(number, place, problem=problem)
            elif _has_quote_behind_space(values, lines, delimiter):
                yield DatasetRow(number, place, problem=_QUOTE_BEHIND_SPACE)
            else:
                record = dict(zip(head, values, strict=True))
                yield row_of_columns(record, columns, number, place)
            number += 1


def _has_quote_behind_space(values: list[str], lines: list[str], delimiter: str) -> bool:
    """Whether one of ``values``, read from ``lines``, is a text in quotes behind a space (``a, "b"``): its
    quotes would be part of it, without a word."""
    if not any(value[:1] == " " and value.lstrip(" ")[:1] == '"' for value in values):
        return False
    other = next(csv.reader(lines, delimiter=delimiter, skipinitialspace=True), [])
    return [value.lstrip(" ") for value in values] != [value.lstrip(" ") for value in other]


def _decoded(path: Path, file: IO[bytes], cut: list[int], lines: list[str]) -> Iterator[str]:
    """The lines of ``file``, which are added to ``lines`` too; ``cut`` has the numbers of those of which only
    the beginning is read. Bytes that are no UTF-8 stay marked, and make their row unusable instead of the
    file."""
    for at, line in enumerate(byte_lines(path, file), 1):
        if is_cut(line):
            cut.append(at)
        lines.append(line.decode("utf-8", "surrogateescape"))
        yield lines[-1]


def _reason(error: csv.Error) -> str:
    """What ``error`` says; of a carriage return it speaks as to a programmer."""
    said = str(error)
    return "a carriage return stands outside quotes" if "new-line character" in said else said


def _templates(path: Path, columns: Columns, first: int) -> Iterator[DatasetRow]:
    template = read_template(path, whole(path))
    if template.table is None:
        for at, record in enumerate(template.records()):
            yield row_of_columns(record, columns, first + at, f"{path.name}[{at}]")
        return
    files_read_with(path)
    if columns.taken:
        raise BadParameter(f"{path} says itself what its columns are.", "Leave --columns out.")
    number = first
    for own in template.columns():
        for row in read_rows(template.table, own, number):
            yield row
            number = row.number + 1


def files_read_with(path: Path) -> tuple[Path, ...]:
    """``path``, and the table that it names where it is a template of one. Raises ``BadParameter``."""
    if suffix_of(path) != ".toml":
        return (path,)
    table = read_template(path, whole(path)).table
    if table is None:
        return (path,)
    if suffix_of(table) in (".txt", ".toml"):
        raise BadParameter(
            f"{path}: its table {table.name} is a file without columns.",
            "Name a CSV, JSONL or Parquet file.",
        )
    return path, table


READERS: dict[str, Reader] = {
    ".txt": _lines,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".csv": _comma_separated,
    ".tsv": _tab_separated,
    ".parquet": parquet_rows,
    ".arrow": arrow_rows,
    ".feather": arrow_rows,
    ".toml": _templates,
}


def _parsed(text: str) -> Any:
    try:
        return json_marked(text)
    except (ValueError, RecursionError) as error:
        raise UnusableRow(f"is no JSON: {str(error).splitlines()[0]}") from None


def _object(found: Any) -> dict[str, Any]:
    """``found`` of ``json_marked`` as a record."""
    if not isinstance(found, dict):
        raise UnusableRow("is no object of columns")
    refuse_names_twice(found)
    return found
