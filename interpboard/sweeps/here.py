"""Through the rows in this process, one after another. Knows no torch: what a row is answered by is handed
in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from interpboard.datasets.dataset import Dataset
from interpboard.datasets.rows import DatasetRow
from interpboard.sweeps.folder import FinishedRows, SweepFolder
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.row_results import RowResult, row_id

FLUSH_AFTER = 10.0  # seconds: as much is lost when the process is killed
_HELD_MOST = 1 << 26  # bytes of values

OnPace = Callable[[SweepPace], None]
RowFunction = Callable[[DatasetRow, Mapping[str, str]], list[RowResult]]
"""A row, and the id of each analysis that is missing, to their results: ``row_work.work_row`` with its
model."""


def sweep_here(
    work: RowFunction,
    dataset: Dataset,
    folder: SweepFolder,
    check: Callable[[], None] = lambda: None,
    on_pace: OnPace = lambda _pace: None,
    flush_after: float = FLUSH_AFTER,
) -> SweepPace:
    """Compute by ``work`` what ``folder`` does not have yet, and write it there; how it went.

    ``check`` is asked before each row whether to go on, ``flush_after``: seconds until what there is is
    written. Whatever ends it, an interrupt among others, what was computed is written first. Raises what
    ``Dataset.rows`` and ``SweepFolder.write`` do, ``Cancelled``.
    """
    finished = folder.finished()
    pace = SweepPace.begun(folder.manifest.rows, finished.counts)
    held: list[RowResult] = []
    size, written = 0, time.monotonic()
    try:
        for row, missing in missing_rows(dataset, folder, finished):
            check()
            if missing:
                results = work(row, missing)
                held += results
                size += sum(result.values.nbytes for result in results)
                pace.took(results)
            else:
                pace.rows += 1
            on_pace(pace)
            if size > _HELD_MOST or (held and time.monotonic() - written > flush_after):
                begun, held = held, []
                folder.write(begun)
                size, written = 0, time.monotonic()
    finally:
        folder.write(held)
    return pace


def missing_rows(
    dataset: Dataset, folder: SweepFolder, finished: FinishedRows
) -> Iterator[tuple[DatasetRow, dict[str, str]]]:
    """Every row, and the ids of those of its results that ``folder`` does not have."""
    request, weights = folder.manifest.request, folder.manifest.model.weights
    asked = {name: request.fingerprint(name, weights) for name in request.analyses}
    for row in dataset.rows():
        ids = {name: row_id(row, own) for name, own in asked.items()}
        yield row, {name: own for name, own in ids.items() if own not in finished}
