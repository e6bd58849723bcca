"""Through the rows in this process. Knows no torch: what rows are answered by is handed in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from interpboard.datasets.dataset import Dataset
from interpboard.datasets.rows import DatasetRow
from interpboard.sweeps.finished_rows import FinishedRows
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.row_results import RowResult, row_id

FLUSH_AFTER = 10.0  # seconds: as much is lost when the process is killed
_HELD_MOST = 1 << 26  # bytes of values

ROWS_AT_ONCE = 256  # read ahead, so that there are some of one length

OnPace = Callable[[SweepPace], None]
MissingRow = tuple[DatasetRow, dict[str, str]]
"""A row, and the id of each analysis that is missing."""
RowsFunction = Callable[[Sequence[MissingRow]], Iterator[list[RowResult]]]
"""Rows to the results of each, in any order; those of a row come together, as soon as they are there
(``row_work.work_rows`` with its model)."""


def sweep_in_process(
    work: RowsFunction,
    dataset: Dataset,
    folder: SweepFolder,
    check: Callable[[], None] = lambda: None,
    on_pace: OnPace = lambda _pace: None,
    flush_after: float = FLUSH_AFTER,
) -> SweepPace:
    """Compute by ``work`` what ``folder`` does not have yet, and write it there; how it went.

    ``check`` is asked after each row whether to go on, ``flush_after``: seconds until what there is is
    written. Whatever ends it, an interrupt among others, what was computed is written first. Raises what
    ``Dataset.rows`` and ``SweepFolder.write`` do, ``Cancelled``.
    """
    finished = folder.finished()
    pace = SweepPace.begun(folder.manifest.rows, finished.counts)
    held: list[RowResult] = []
    size, written = 0, time.monotonic()
    try:
        for rows in _some(missing_rows(dataset, folder, finished), pace, on_pace):
            check()
            for results in work(rows):
                held += results
                size += sum(result.values.nbytes for result in results)
                pace.took(results)
                on_pace(pace)
                if size > _HELD_MOST or time.monotonic() - written > flush_after:
                    begun, held = held, []
                    folder.write(begun)
                    size, written = 0, time.monotonic()
                check()
    finally:
        folder.write(held)
    return pace


def _some(
    rows: Iterator[MissingRow], pace: SweepPace, on_pace: OnPace
) -> Iterator[list[MissingRow]]:
    """Those of which something is missing, some at a time; the others are passed by."""
    held: list[MissingRow] = []
    for row, missing in rows:
        if missing:
            held.append((row, missing))
        else:
            pace.rows += 1
            on_pace(pace)
        if len(held) == ROWS_AT_ONCE:
            begun, held = held, []
            yield begun
    if held:
        yield held


def missing_rows(
    dataset: Dataset, folder: SweepFolder, finished: FinishedRows
) -> Iterator[MissingRow]:
    """Every row, and the ids of those of its results that ``folder`` does not have."""
    request, weights = folder.manifest.request, folder.manifest.model.weights
    asked = {name: request.fingerprint(name, weights) for name in request.analyses}
    for row in dataset.rows():
        ids = {name: row_id(row, own) for name, own in asked.items()}
        yield row, {name: own for name, own in ids.items() if own not in finished}
