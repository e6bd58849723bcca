"""Through the rows on Ray Data: an actor a worker opens the model once, and writes its parts itself.

The row function and the parts are those of ``here``. Rows that are missing are put down as Parquet first,
in the folder, so that no process holds them all; a part's name is made of what is in it, so one that is
computed again because a node was lost is the same file. The nodes must see the folder and the model under
the same paths.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from interpboard.datasets.dataset import Dataset
from interpboard.datasets.rows import DatasetRow
from interpboard.errors import BadParameter, MissingPackage
from interpboard.sweeps.folder import SweepFolder, identity_of
from interpboard.sweeps.here import OnPace, missing_rows
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.row_results import arrow

ROWS_A_BATCH = 16
_ROWS_A_SHARD = 256
_SHARDS_A_WORKER = 4
_LOCAL = "local"
_LOOPBACK = ("127.0.0.1", "localhost")


class RowWorker:
    """An actor: the model, opened once, and the folder that its parts go to."""

    def __init__(self, opening: Mapping[str, Any], folder: str) -> None:
        from interpboard.models.language_model import open_model
        from interpboard.sweeps.row_work import rows_function

        self.folder = SweepFolder.open(Path(folder))
        manifest = self.folder.manifest
        lm = open_model(**opening)
        if identity_of(lm.info) != identity_of(manifest.model):
            raise BadParameter(
                f"A worker's {opening.get('name_or_path')} is not the model that the sweep began with.",
                "Give every node the same files.",
            )
        self.work = rows_function(lm, manifest.request)

    def __call__(self, batch: Any) -> Any:
        """Rows to one part on disk; what comes back is how it went."""
        pace = SweepPace(None)
        results = []
        decode = msgspec.msgpack.Decoder(tuple[DatasetRow, dict[str, str]]).decode
        for found in self.work([decode(raw) for raw in batch["task"].to_pylist()]):
            pace.took(found)
            results += found
        self.folder.write(results)
        told = msgspec.msgpack.encode((len(batch), pace.computed, pace.work, pace.reasons))
        return arrow().table({"told": [told]})


def sweep_on_ray(
    opening: Mapping[str, Any],
    dataset: Dataset,
    folder: SweepFolder,
    *,
    workers: int,
    gpus_per_worker: float = 0.0,
    address: str = "",
    check: Callable[[], None] = lambda: None,
    on_pace: OnPace = lambda _pace: None,
) -> SweepPace:
    """As ``here.sweep_here``, by ``workers`` actors that open the model with ``opening``.

    ``address``: of a Ray cluster that runs; empty: one is started here, bound to 127.0.0.1, and ended. Usage
    reports and dashboard are off. A node that is lost costs its batches, which others compute. Raises
    ``MissingPackage`` without Ray, ``BadParameter``.
    """
    if workers < 1 or gpus_per_worker < 0:
        raise BadParameter("There is at least one worker, and no less than no GPU a worker.")
    finished = folder.finished()
    pace = SweepPace.begun(folder.manifest.rows, finished.counts)
    shards = folder.path / ".rows-to-do"
    try:
        missing = _put_down(shards, dataset, folder, finished, pace, check, workers)
        on_pace(pace)
        if not missing:
            return pace
        with _cluster(workers, gpus_per_worker, address) as ray:
            told = (
                ray.data.read_parquet(str(shards))
                .map_batches(
                    RowWorker,
                    fn_constructor_kwargs={
                        "opening": dict(opening),
                        "folder": str(folder.path.resolve()),
                    },
                    batch_size=ROWS_A_BATCH,
                    batch_format="pyarrow",
                    concurrency=workers,
                    num_cpus=1,
                    **({"num_gpus": gpus_per_worker} if gpus_per_worker else {}),
                )
                .iter_batches(batch_size=None, batch_format="pyarrow")
            )
            for batch in told:
                check()
                for raw in batch["told"].to_pylist():
                    rows, computed, work, reasons = msgspec.msgpack.decode(raw)
                    pace.heard(rows, computed, work, reasons)
                on_pace(pace)
    finally:
        shutil.rmtree(shards, ignore_errors=True)
    return pace


def _put_down(
    shards: Path,
    dataset: Dataset,
    folder: SweepFolder,
    finished: Any,
    pace: SweepPace,
    check: Callable[[], None],
    workers: int,
) -> int:
    """Write the rows that are missing, with the ids of what is missing of them; how many they are."""
    pa = arrow()
    from pyarrow import parquet

    shutil.rmtree(shards, ignore_errors=True)
    shards.mkdir()
    a_shard = _rows_a_shard(folder.manifest.rows, workers)
    held: list[bytes] = []
    number = total = 0

    def flush() -> None:
        nonlocal number
        if held:
            parquet.write_table(pa.table({"task": list(held)}), shards / f"{number:08d}.parquet")
            number += 1
            held.clear()

    for row, missing in missing_rows(dataset, folder, finished):
        check()
        if not missing:
            pace.rows += 1
            continue
        held.append(msgspec.msgpack.encode((row, missing)))
        total += 1
        if len(held) >= a_shard:
            flush()
    flush()
    return total


def _rows_a_shard(rows: int | None, workers: int) -> int:
    """So many that every worker has a few shards, and none is smaller than a batch without need."""
    if rows is None:
        return _ROWS_A_SHARD
    return max(1, min(_ROWS_A_SHARD, max(rows // (_SHARDS_A_WORKER * workers), ROWS_A_BATCH)))


@contextlib.contextmanager
def _cluster(workers: int, gpus: float, address: str) -> Iterator[Any]:
    """Ray, joined or started; a cluster that was started here is ended."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if not address or address.startswith(_LOOPBACK):
        # Ray's word for "this machine alone": else it listens on, and connects to, the outward address.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
        import ray.data
    except ImportError:
        raise MissingPackage(
            "More than one worker needs Ray.", "pip install 'interpboard[ray]'"
        ) from None
    started = not ray.is_initialized()
    if started:
        # One core more than the workers: reading the rows is a task of its own.
        own: dict[str, Any] = {}
        if not address:
            own |= {"num_cpus": workers + 1, "include_dashboard": False}
            own |= {"num_gpus": max(1, round(workers * gpus))} if gpus else {}
        ray.init(
            address=address or _LOCAL,
            logging_level=logging.ERROR,
            log_to_driver=False,
            **own,
        )
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    try:
        yield ray
    finally:
        if started:
            ray.shutdown()
