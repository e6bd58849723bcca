"""The rows of a dataset or of a sweep as they are listed: what each is, and what is known of it.

Values of cells are not read: a list of thousands of rows costs their texts. Of a sweep the dataset is read
again where it is still the same, since the folder keeps no partner prompt and no subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as with_fields
from itertools import islice
from pathlib import Path
from typing import Any

from interpboard.datasets.columns import Columns
from interpboard.datasets.dataset import Dataset, open_dataset
from interpboard.datasets.row_expression import row_expression
from interpboard.datasets.rows import DatasetRow
from interpboard.display import visible
from interpboard.errors import BadParameter, InterpBoardError
from interpboard.sweeps.folder import Manifest, SweepFolder
from interpboard.sweeps.row_results import ALSO

MOST_LISTED = 100_000  # rows
OF_A_LIST = (
    "row", "place", "text", "target", "foil", "position", "answer", "probability", "right", "metric",
    "tokens",
)  # fmt: skip
_CALLED = {other: name for name, other in ALSO.items()}


@dataclass(frozen=True, slots=True)
class ListedRow:
    """Row ``number`` of a dataset, from 0. ``metric``: its value on the clean run; None: not computed.

    ``problem``: why nothing can be or was computed; ``failed``: of each analysis that came to nothing, why.
    ``source``: the row of the dataset; None: it is not there any more, or another one.
    """

    number: int
    place: str
    text: str
    target: str | None = None
    foil: str | None = None
    position: int | None = None
    answer: str | None = None
    metric: float | None = None
    right: bool | None = None
    tokens: int | None = None
    problem: str = ""
    failed: tuple[tuple[str, str], ...] = ()
    columns: dict[str, Any] = field(default_factory=dict)
    source: DatasetRow | None = None
    probability: float | None = None  # of the answer, where it was asked for a list alone

    def column(self, name: str) -> Any:
        """What it has in a column; None: nothing. The same names as in ``row_filter``."""
        if name in self.columns:
            return self.columns[name]
        name = _CALLED.get(name, name)
        return self.number if name == "row" else getattr(self, name) if name in OF_A_LIST else None


@dataclass(frozen=True)
class RowList:
    """``rows`` of ``dataset``, which is None where it is gone; ``manifest`` where they are of a sweep.

    ``cut``: there are more than ``MOST_LISTED``. ``note``: why rows cannot be opened; empty: they can.
    """

    path: Path
    rows: tuple[ListedRow, ...]
    dataset: Dataset | None
    manifest: Manifest | None = None
    cut: bool = False
    note: str = ""

    def with_rows(self, known: Mapping[int, ListedRow]) -> RowList:
        """The same list with those of ``known``, by number, in place of its own."""
        rows = tuple(known.get(row.number, row) for row in self.rows) if known else self.rows
        return with_fields(self, rows=rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in which any row has something."""
        known = [
            name
            for name in (*OF_A_LIST, *ALSO.values())
            if any(row.column(name) is not None for row in self.rows)
        ]
        return tuple(dict.fromkeys((*known, *self.of_file)))

    @property
    def of_file(self) -> tuple[str, ...]:
        """The columns that are kept from the file, some of which may be called as ours are."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.columns))

    def fitting(self, text: str) -> tuple[ListedRow, ...]:
        """The rows that fit the expression ``text``. Raises ``BadParameter``, also for an unknown column."""
        wanted = row_expression(text)
        wanted.check(self.columns)
        return tuple(row for row in self.rows if wanted.fits(row.column))


def list_rows(path: str | Path, columns: Columns | None = None) -> RowList:
    """The rows of the file, folder or pattern ``path``, or of the sweep in the folder ``path``.

    Raises ``BadParameter``, ``BadResultFile``, ``MissingPackage``.
    """
    place = Path(path)
    if (place / "manifest.json").is_file():
        if columns is not None and columns.taken:
            raise BadParameter(f"{place} is a sweep, whose columns are known.", "Leave them out.")
        return _of_sweep(place)
    dataset = open_dataset([path], columns or Columns())
    rows, cut = _cut(dataset.rows())
    if not rows:
        raise BadParameter(f"{path} has no rows.", "Check it.")
    return RowList(place, tuple(map(_plain, rows)), dataset, cut=cut)


def _cut(rows: Iterator[DatasetRow]) -> tuple[list[DatasetRow], bool]:
    found = list(islice(rows, MOST_LISTED + 1))
    return found[:MOST_LISTED], len(found) > MOST_LISTED


def _plain(row: DatasetRow) -> ListedRow:
    return ListedRow(
        row.number, row.place, _text(row), row.target, row.foil, row.position,
        problem=f"The row {row.problem}." if row.problem else "",
        columns=row.kept,
        source=row,
    )  # fmt: skip


def _text(row: DatasetRow) -> str:
    return row.messages[-1][1] if row.messages is not None else row.text


def _of_sweep(path: Path) -> RowList:
    folder = SweepFolder.open(path)
    dataset, note = _same_dataset(folder.manifest)
    sources: Sequence[DatasetRow] = ()
    cut = False
    if dataset is not None:
        sources, cut = _cut(dataset.rows())
    rows = {row.number: _plain(row) for row in sources}
    for record in folder.heads():
        number = record["row"]
        if number not in rows:
            if sources or len(rows) >= MOST_LISTED:
                cut = True
                continue
            rows[number] = ListedRow(number, record["place"], record["text"] or "")
        rows[number] = _with(rows[number], record)
    asked = len(folder.manifest.request.analyses)
    listed = tuple(_judged(row, asked) for row in rows.values())
    return RowList(path, listed, dataset, folder.manifest, cut, note)


def _with(row: ListedRow, record: dict[str, Any]) -> ListedRow:
    """``row`` with what one analysis has of it."""
    if record["error"]:
        failed = (*row.failed, (record["analysis"], record["error"]))
        return with_fields(row, failed=failed, columns=row.columns or record["columns"])
    return with_fields(
        row,
        text=record["text"],
        target=record["target"],
        foil=record["foil"],
        position=record["position"],
        answer=record["answer"],
        metric=row.metric if row.metric is not None else record["baseline"],
        right=record["right"],
        tokens=record["tokens"],
        columns=record["columns"],
    )


def _judged(row: ListedRow, asked: int) -> ListedRow:
    """Where every analysis failed, the row itself cannot be used."""
    if len(row.failed) < asked or not row.failed:
        return row
    return with_fields(row, problem=row.problem or row.failed[0][1])


def _same_dataset(manifest: Manifest) -> tuple[Dataset | None, str]:
    """The dataset of a sweep; or None, and why rows cannot be opened."""
    names = ", ".join(visible(Path(name).name) for name in manifest.dataset)
    try:
        dataset = _opened(manifest.dataset, manifest)
        if dataset.fingerprint() == manifest.dataset_fingerprint:
            return dataset, ""
    except InterpBoardError:
        return None, f"{names} is not where it was swept: rows are listed, and cannot be opened."
    return None, f"{names} is another file than was swept: rows are listed, and cannot be opened."


def _opened(names: Iterable[str], manifest: Manifest) -> Dataset:
    columns = Columns(manifest.columns)
    return open_dataset(list(names), columns, manifest.limit, manifest.shuffle)
