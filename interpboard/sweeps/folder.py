"""The folder of a sweep: a manifest, and parts that are whole or not there.

::

    manifest.json               what was asked, of which model, over which dataset
    rows/part-….parquet         results of rows, written whole; its name says which they are
    sums/part-….npz             what means are made of, where rows' values are not kept
    aggregate.json              the means, as any result

A part is one file that appears in one step, and its name is made of what is in it: so whatever is killed in
the middle, what is there is whole, and whoever computes the same part again writes the same file.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from interpboard.errors import BadParameter, BadResultFile
from interpboard.files import atomic
from interpboard.registry import ANALYSES
from interpboard.results import MadeBy, ModelInfo
from interpboard.sweeps import locks
from interpboard.sweeps import sums as summed
from interpboard.sweeps.finished_rows import Counts, FinishedRows, numbers_of_ids
from interpboard.sweeps.going_on import gone_on
from interpboard.sweeps.locks import WORKERS_END
from interpboard.sweeps.request import SweepRequest
from interpboard.sweeps.row_results import SCHEMA_VERSION, RowResult, arrow, results_of, table_of

_HEADS = (
    "row", "place", "analysis", "baseline", "target", "foil", "position", "answer", "right", "text",
    "roles", "columns", "error",
)  # fmt: skip
_AT_ONCE = 64  # rows that are made Python's in one step, in which no other thread has its turn
_AGAIN = "Make room or mend it; the same command goes on from here."


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep is: all that must be the same to go on with it.

    ``rows``: of the dataset, None: uncounted. ``parameter_files``: size and time of each file that a
    parameter names, a lens say. ``columns``, ``limit``, ``shuffle``: how the dataset was read (``Dataset``);
    ``level``: of the intervals that were asked for last; ``repeated``: how many rows repeat another.
    """

    schema: str = SCHEMA_VERSION
    made_by: MadeBy
    dataset: tuple[str, ...]
    dataset_fingerprint: str
    model: ModelInfo
    request: SweepRequest
    rows: int | None = None
    parameter_files: dict[str, tuple[int, int]] = {}
    columns: tuple[tuple[str, str], ...] = ()
    limit: int | None = None
    shuffle: int | None = None
    level: float = 0.95
    repeated: int = 0


class SweepFolder:
    """One sweep on disk. Raises ``BadResultFile`` for what cannot be read or written."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest

    @classmethod
    def begin(cls, path: Path, manifest: Manifest) -> SweepFolder:
        """The folder of ``manifest``, made, or gone on with if it is of the same.

        More analyses than before may be asked for, and more rows of the dataset. Raises ``BadParameter``
        where it is of something else.
        """
        place = path / "manifest.json"
        if place.exists():
            manifest = gone_on(path, cls.open(path).manifest, manifest)
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise BadParameter(f"{path} is there and holds no sweep.", "Name a new folder.")
        try:
            (path / "rows").mkdir(parents=True, exist_ok=True)
            if manifest.request.sums:
                (path / "sums").mkdir(exist_ok=True)
            atomic.write_bytes(place, msgspec.json.format(msgspec.json.encode(manifest)))
        except OSError as error:
            raise BadResultFile(f"Cannot write {path}: {error.strerror}.", _AGAIN) from error
        return cls(path, manifest)

    @classmethod
    def open(cls, path: Path) -> SweepFolder:
        """The sweep in ``path``."""
        try:
            raw = (path / "manifest.json").read_bytes()
            manifest = msgspec.json.decode(raw, type=Manifest)
        except OSError as error:
            raise BadResultFile(
                f"{path} holds no sweep: {error.strerror}.", "Name its folder."
            ) from error
        except msgspec.MsgspecError as error:
            raise BadResultFile(f"{path}/manifest.json cannot be read: {error}.") from error
        if manifest.schema != SCHEMA_VERSION:
            raise BadResultFile(
                f"{path} has the schema {manifest.schema!r}, this program reads {SCHEMA_VERSION!r}.",
                "Use the version that wrote it.",
            )
        return cls(path, manifest)

    def alone(self, wait: float = WORKERS_END) -> AbstractContextManager[None]:
        """While open, no other process writes here but workers of this one. See ``locks.alone``."""
        return locks.alone(self.path, wait)

    def among_workers(self) -> AbstractContextManager[None]:
        """While open, this process writes here for another, which has it ``alone``."""
        return locks.among_workers(self.path)

    def write(self, results: Sequence[RowResult]) -> None:
        """A part with ``results``, whole, in the order of their rows. An interrupt waits for its end."""
        if not results:
            return
        try:
            self._write(results)
        except KeyboardInterrupt:
            self._write(results)  # the same part, by the same name
            raise

    def _write(self, results: Sequence[RowResult]) -> None:
        results = sorted(results, key=lambda result: result.row)
        request = self.manifest.request
        name = _part_name(results)
        kept = results
        try:
            if request.sums:
                # First: a part without its sums would be rows that no mean knows of.
                by_roles = request.alignment != "index"
                own = summed.to_bytes(summed.sums_of(results, request.group, by_roles))
                atomic.write_bytes(self.path / "sums" / f"{name}.npz", own)
                kept = [_cut(result, request) for result in results]
            _write_table(table_of(kept), self.path / "rows" / f"{name}.parquet")
        except OSError as error:
            raise BadResultFile(
                f"Cannot write {self.path}: {error.strerror or error}.", _AGAIN
            ) from error

    def parts(self) -> list[Path]:
        """The parts, in the order of their rows."""
        return sorted((self.path / "rows").glob("part-*.parquet"))

    def results(self, analysis: str | None = None) -> Iterator[RowResult]:
        """Every row's results, those of one analysis or of all."""
        for part in self.parts():
            yield from self._of_part(part, analysis)

    def heads(self) -> Iterator[dict[str, Any]]:
        """Every row's results without their values: columns of the parts, and ``tokens``, their number."""
        for part in self.parts():
            for batch in self._read(part, list(_HEADS)).to_batches(max_chunksize=_AT_ONCE):
                lengths = batch.column("roles").value_lengths().to_pylist()
                plain = batch.select([name for name in _HEADS if name != "roles"]).to_pylist()
                for record, tokens in zip(plain, lengths, strict=True):
                    yield {**record, "columns": json.loads(record["columns"]), "tokens": tokens}

    def warnings(self) -> Iterator[tuple[str, list[str]]]:
        """The analysis and the warnings of every result that is one."""
        for part in self.parts():
            table = self._read(part, ["analysis", "warnings", "error"])
            columns = (table[name].to_pylist() for name in table.column_names)
            for analysis, warnings, error in zip(*columns, strict=True):
                if not error:
                    yield analysis, warnings

    def sums(self) -> dict[summed.Key, summed.Sums]:
        """The sums of all parts together."""
        found: dict[summed.Key, summed.Sums] = {}
        for part in self.parts():
            place = self.path / "sums" / f"{part.stem}.npz"
            try:
                raw = place.read_bytes()
            except OSError as error:
                raise BadResultFile(f"Cannot read {place}: {error.strerror}.") from error
            for key, own in summed.from_bytes(raw).items():
                found.setdefault(key, summed.Sums(own.space.by_roles)).join(own)
        return found

    def finished(self) -> FinishedRows:
        """The ids that are there, those to be tried again left out, and how many failed and why."""
        parts, counts, by_analysis = [], Counts(), Counter[str]()
        for part in self.parts():
            table = self._read(part, ["id", "analysis", "error", "again"])
            final = _final(table)
            parts.append(numbers_of_ids(final["id"].to_pylist()))
            by_analysis.update(final["analysis"].to_pylist())
            counts.done += len(table)
            for error in table["error"].to_pylist():
                if error:
                    counts.failed += 1
                    counts.reasons[error] = counts.reasons.get(error, 0) + 1
        return FinishedRows(
            np.unique(np.concatenate(parts)) if parts else numbers_of_ids([]), counts, by_analysis
        )

    def leave_passing(self) -> int:
        """Take out the reasons that may have passed (``RowResult.again``): their rows are missing then. How
        many there were.

        For who has the folder ``alone``. A part is replaced in one step, so that no row is ever there twice.
        """
        left = 0
        for part in self.parts():
            table = self._read(part, None)
            kept = _final(table)
            if len(kept) == len(table):
                continue
            left += len(table) - len(kept)
            try:
                if len(kept):  # its sums are of those that did not fail
                    _write_table(kept, part)
                else:
                    part.unlink()
            except OSError as error:
                raise BadResultFile(f"Cannot write {part}: {error.strerror}.", _AGAIN) from error
        return left

    def _of_part(self, part: Path, analysis: str | None) -> Iterator[RowResult]:
        table = self._read(part, None)
        if analysis is not None:  # the others are not made Python's
            own = np.asarray(table["analysis"].to_pylist(), dtype=object) == analysis
            table = table.filter(arrow().array(own, type=arrow().bool_()))
        for batch in table.to_batches(max_chunksize=_AT_ONCE):
            yield from results_of(batch)

    def _read(self, part: Path, columns: list[str] | None):  # type: ignore[no-untyped-def]
        pa = arrow()
        try:
            with _parquet().ParquetFile(part) as file:  # read_table imports what reads many files
                return file.read(columns)
        except (OSError, pa.ArrowException) as error:
            said = str(error).splitlines()[0][:120]
            raise BadResultFile(
                f"Cannot read {part}: {said}.", "Delete that part, and sweep again."
            ) from error


def _final(table: Any) -> Any:
    """The results of ``table`` that are not tried again."""
    again = table["again"].to_pylist() if "again" in table.column_names else []
    if not any(again):  # a filter imports all that pyarrow computes
        return table
    return table.filter(arrow().array([not each for each in again], type=arrow().bool_()))


def _write_table(table: Any, place: Path) -> None:
    file = BytesIO()
    _parquet().write_table(table, file, compression="zstd")
    atomic.write_bytes(place, file.getvalue())


def _part_name(results: Sequence[RowResult]) -> str:
    digest = hashlib.blake2b("".join(sorted(r.id for r in results)).encode(), digest_size=8)
    return f"part-{min(r.row for r in results):012d}-{digest.hexdigest()}"


def _cut(result: RowResult, request: SweepRequest) -> RowResult:
    """``result`` with as many of its strongest values as are asked for, or without any: those furthest from
    the value of no effect."""
    if request.top is None or result.error:
        return replace(result, values=np.zeros(0), at=np.zeros(0, dtype=np.int64))
    neutral = ANALYSES[result.analysis].neutral_with(request.params.get(result.analysis, {}))
    size = np.nan_to_num(np.abs(result.values - neutral), nan=-1.0)
    order = np.argsort(-size, kind="stable")[: request.top]
    return replace(result, values=result.values[order], at=order)


def _parquet():  # type: ignore[no-untyped-def]
    arrow()
    from pyarrow import parquet

    return parquet
