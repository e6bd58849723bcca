"""What one analysis gave for one row, and how that stands in a Parquet file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from interpboard.datasets.rows import DatasetRow
from interpboard.datasets.written_values import written_value
from interpboard.errors import MissingPackage
from interpboard.results import Axis

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = "interpboard/sweep/1"
OF_RESULTS = (
    "row", "place", "text", "target", "foil", "answer", "right", "position", "baseline",
)  # fmt: skip
"""Columns of a result that rows are chosen and grouped by, beside those of the dataset."""
ALSO = {"metric": "baseline"}
"""What people call a column of a result otherwise: the metric on the clean run."""
OF_GROUPS = (*OF_RESULTS, *ALSO, "tokens")
"""Columns that every result has, whatever the dataset has."""


class RowResult(msgspec.Struct, frozen=True, eq=False):
    """One analysis of one row, or why there is none (``error``).

    ``values`` of ``axes`` flat in their order, ``at`` the places of those that are kept (None: all of them).
    ``roles``: what each token of the prompt is, see ``alignment``; ``border``: the first of an
    encoder–decoder's prefix, else 0. ``answer``: what the model says there, and ``right`` whether that is the
    row's own target, None where it names none. ``columns``: the row's further columns, ``label`` among them.
    ``again``: the reason may pass, such as too little memory, and whoever goes on with the sweep computes the
    row.
    """

    id: str
    row: int
    place: str
    analysis: str
    axes: tuple[Axis, ...] = ()
    values: np.ndarray = np.zeros(0)
    at: np.ndarray | None = None
    baseline: float | None = None
    metric: str = ""
    target: str | None = None
    target_id: int | None = None
    foil: str | None = None
    position: int | None = None
    answer: str | None = None
    right: bool | None = None
    text: str = ""
    roles: tuple[str, ...] = ()
    border: int = 0
    columns: dict[str, Any] = {}
    warnings: tuple[str, ...] = ()
    error: str = ""
    again: bool = False
    seconds: float = 0.0

    def column(self, name: str) -> Any:
        """What stands in a column of the dataset, or in one of ``OF_RESULTS``; ``tokens`` is the prompt's
        length, ``metric`` what the metric is on the clean run. None: nothing."""
        if name in self.columns:
            return self.columns[name]
        if name == "tokens":
            return len(self.roles)
        name = ALSO.get(name, name)
        return getattr(self, name) if name in OF_RESULTS else None

    def of_group(self, column: str) -> str | None:
        """What stands in ``column``, as text; None: nothing."""
        found = self.column(column)
        return None if found is None else written_value(found)


def what_is_asked(row: DatasetRow) -> tuple[object, ...]:
    """All of a row that its results depend on."""
    return (
        row.text, row.messages, row.target, row.foil, row.corrupted, row.subject, row.position,
        row.other.get("choices"),
    )  # fmt: skip


def row_id(row: DatasetRow, request: str) -> str:
    """32 hex digits of what the row is and what is asked of it (``SweepRequest.fingerprint``)."""
    of = (
        row.number, row.text, row.messages, row.target, row.foil, row.corrupted, row.subject,
        row.label, row.position, sorted(row.other.items()), row.problem, request,
    )  # fmt: skip
    return hashlib.blake2b(repr(of).encode("utf-8", "replace"), digest_size=16).hexdigest()


def schema() -> pa.Schema:
    """The columns of a part; the docs have a line on each."""
    pa = arrow()
    axis = pa.struct([("name", pa.string()), ("labels", pa.list_(pa.string()))])
    return pa.schema(
        [
            ("id", pa.string()),
            ("row", pa.int64()),
            ("place", pa.string()),
            ("analysis", pa.string()),
            ("axes", pa.list_(axis)),
            ("values", pa.list_(pa.float64())),
            ("at", pa.list_(pa.int64())),
            ("baseline", pa.float64()),
            ("metric", pa.string()),
            ("target", pa.string()),
            ("target_id", pa.int64()),
            ("foil", pa.string()),
            ("position", pa.int64()),
            ("answer", pa.string()),
            ("right", pa.bool_()),
            ("text", pa.string()),
            ("roles", pa.list_(pa.string())),
            ("border", pa.int64()),
            ("columns", pa.string()),
            ("warnings", pa.list_(pa.string())),
            ("error", pa.string()),
            ("again", pa.bool_()),
            ("seconds", pa.float64()),
        ],
        metadata={"schema": SCHEMA_VERSION},
    )


def table_of(results: Sequence[RowResult]) -> pa.Table:
    """The rows of a part. NaN stays NaN: what has no value is said by the analysis, not by a gap."""
    return arrow().Table.from_pylist([_record(result) for result in results], schema=schema())


def results_of(batch: pa.RecordBatch) -> Iterable[RowResult]:
    """The results of a part's batch of rows."""
    values, others = batch.column("values"), [n for n in batch.schema.names if n != "values"]
    ends = values.offsets.to_numpy()
    numbers = values.values.to_numpy(zero_copy_only=False)
    for i, record in enumerate(batch.select(others).to_pylist()):
        at = record["at"]
        record["axes"] = tuple(Axis(a["name"], tuple(a["labels"])) for a in record["axes"])
        record["values"] = np.array(numbers[ends[i] : ends[i + 1]], dtype=np.float64)
        record["at"] = None if at is None else np.array(at, dtype=np.int64)
        record["columns"] = json.loads(record["columns"])
        record["roles"], record["warnings"] = tuple(record["roles"]), tuple(record["warnings"])
        yield RowResult(**record)


def _record(result: RowResult) -> dict[str, Any]:
    record = {name: getattr(result, name) for name in result.__struct_fields__}
    record["axes"] = [{"name": a.name, "labels": list(a.labels)} for a in result.axes]
    record["columns"] = json.dumps(result.columns, ensure_ascii=False)
    record["roles"], record["warnings"] = list(result.roles), list(result.warnings)
    return record


def arrow() -> Any:
    """pyarrow. Raises ``MissingPackage``."""
    try:
        import pyarrow
    except ImportError:
        raise MissingPackage(
            "Sweeps are kept as Parquet, by pyarrow.", "pip install 'interpboard[sweep]'"
        ) from None
    return pyarrow
