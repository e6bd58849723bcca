"""Parquet and Arrow files, read a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from interpboard.datasets.class_names import ClassNames
from interpboard.datasets.columns import Columns
from interpboard.datasets.records import check_columns, row_of_columns
from interpboard.datasets.rows import DatasetRow, UnusableRow
from interpboard.display import visible
from interpboard.errors import BadParameter, MissingPackage

_A_BATCH = 1024  # rows
_SHOWN = 60
# Of a text that is no UTF-8, a date beyond the year 9999, a time zone that is not known.
_NO_VALUE = (ValueError, OverflowError, LookupError)


def parquet_rows(path: Path, columns: Columns, first: int) -> Iterator[DatasetRow]:
    pq = _pyarrow("parquet")
    with _arrow_errors(path):
        file = pq.ParquetFile(path)
        check_columns(path, columns, file.schema_arrow.names)
        batches = file.iter_batches(batch_size=_A_BATCH)
    names = ClassNames.of_schema(file.schema_arrow.metadata)
    yield from _of_batches(path, batches, columns, names, first)


def arrow_rows(path: Path, columns: Columns, first: int) -> Iterator[DatasetRow]:
    ipc = _pyarrow("ipc")
    with _arrow_errors(path), path.open("rb") as raw:
        begins = raw.read(6)
        raw.seek(0)
        if begins == b"ARROW1":
            file = ipc.open_file(raw)
            batches: Iterator[Any] = map(file.get_batch, range(file.num_record_batches))
            schema = file.schema
        else:
            stream = ipc.open_stream(raw)
            batches, schema = _of_stream(stream, raw), stream.schema
        check_columns(path, columns, schema.names)
        names = ClassNames.of_schema(schema.metadata)
        yield from _of_batches(path, iter(batches), columns, names, first)


def _of_stream(stream: Any, raw: IO[bytes]) -> Iterator[Any]:
    """The batches of ``stream``, which reads ``raw``. One that is cut between two batches reads as whole but
    for the mark of its end, which every writer sets that comes to it."""
    while True:
        before = raw.tell()
        batch = next(stream, None)
        if batch is None:
            if raw.tell() == before:
                raise OSError("the mark of its end is missing")
            return
        yield batch


def _of_batches(
    path: Path, batches: Any, columns: Columns, names: ClassNames, first: int
) -> Iterator[DatasetRow]:
    number = first
    while True:
        with _arrow_errors(path):
            batch = next(batches, None)
        if batch is None:
            return
        for record in _records(batch):
            place = f"{path.name}[{number - first}]"
            try:
                if isinstance(record, UnusableRow):
                    raise record
                yield row_of_columns(names.named(record), columns, number, place)
            except UnusableRow as error:
                yield DatasetRow(number, place, problem=str(error))
            number += 1


def _records(batch: Any) -> Iterator[dict[str, Any] | UnusableRow]:
    """The rows of a batch as Python's values, a few at a time; why one has none."""
    for begin in range(0, batch.num_rows, _A_BATCH):
        some = batch.slice(begin, _A_BATCH)
        try:
            yield from some.to_pylist()
        except _NO_VALUE:
            for at in range(some.num_rows):
                yield _record(some.slice(at, 1))


def _record(row: Any) -> dict[str, Any] | UnusableRow:
    found = {}
    for name, column in zip(row.schema.names, row.columns, strict=True):
        try:
            found[name] = column[0].as_py()
        except _NO_VALUE as error:
            reason = str(error).splitlines()[0][:_SHOWN]
            return UnusableRow(f"has {visible(name[:_SHOWN])} that cannot be read: {reason}")
    return found


@contextmanager
def _arrow_errors(path: Path) -> Iterator[None]:
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, OSError) as error:
        reason = str(error).splitlines()[0][:120]
        raise BadParameter(f"Cannot read {path}: {reason}.", "Was it cut short?") from error


def _pyarrow(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"pyarrow.{module}")
    except ImportError:
        raise MissingPackage(
            "Parquet and Arrow need pyarrow.", "pip install 'interpboard[sweep]'"
        ) from None
