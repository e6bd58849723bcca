"""Through the rows on Ray Data: an actor a worker opens the model once, and writes its parts itself.

The row function and the parts are those of ``here``. Rows that are missing are put down in shards first,
in the folder, so that no process holds them all; a part's name is made of what is in it, so one that is
computed again because a node was lost is the same file. The nodes must see the folder and the model under
the same paths.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from interpboard import errors
from interpboard.datasets.dataset import Dataset
from interpboard.errors import BadParameter, InterpBoardError, MissingPackage, WorkerLost
from interpboard.files import atomic
from interpboard.sweeps.descriptor_lines import stderr_without
from interpboard.sweeps.folder import SweepFolder, identity_of
from interpboard.sweeps.in_process import MissingRow, OnPace, missing_rows
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.row_results import arrow

_FEWEST, _MOST = 16, 64  # rows a shard: as many are lost with a node
_SHARDS_A_WORKER = 8
_LOCAL = "local"
_ANSWER_S = 5.0
_LEVEL_SAID = "Set ray log level"  # the one line that it logs before the level is set
_LOOPBACK = ("127.0.0.1", "localhost")
_STAYS = "What was computed stays; --workers 1 says more."


class _Failed(msgspec.Struct, frozen=True):
    """An error, told over a process's border."""

    name: str
    message: str
    remedy: str = ""

    @classmethod
    def of(cls, error: Exception) -> _Failed:
        if isinstance(error, InterpBoardError):
            return cls(type(error).__name__, error.message, error.remedy)
        said = str(error).strip().splitlines()
        return cls("", f"{type(error).__name__}{': ' if said else ''}{said[0] if said else ''}")

    @property
    def error(self) -> InterpBoardError:
        """The same error, or that a worker failed where it is not one of ours."""
        kind = getattr(errors, self.name, None) if self.name else None
        if kind is not None:
            return kind(self.message, self.remedy)
        return WorkerLost(f"A worker failed by {self.message}.", _STAYS)


class _Told(msgspec.Struct, frozen=True):
    """How a batch went; see ``SweepPace.heard``."""

    rows: int = 0
    computed: int = 0
    work: float = 0.0
    reasons: dict[str, int] = {}
    failed: _Failed | None = None


class RowWorker:
    """An actor: the model, opened once, and the folder that its parts go to."""

    def __init__(self, opening: Mapping[str, Any], folder: str) -> None:
        # What fails is told, not raised: Ray would make pages of it, and begin again.
        self.failed: _Failed | None = None
        try:
            self._open(opening, folder)
        except Exception as error:  # noqa: BLE001 - told to the user by hear
            self.failed = _Failed.of(error)

    def _open(self, opening: Mapping[str, Any], folder: str) -> None:
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
        """The rows of a shard to one part on disk; what comes back is how it went."""
        told = _Told()
        if self.failed is None:
            try:
                told = self._work(batch)
            except Exception as error:  # noqa: BLE001 - told to the user by hear
                self.failed = _Failed.of(error)
        if self.failed is not None:
            told = _Told(failed=self.failed)
        return arrow().table({"told": [msgspec.msgpack.encode(told)]})

    def _work(self, batch: Any) -> _Told:
        pace = SweepPace(None)
        results = []
        (shard,) = batch["shard"].to_pylist()
        rows = msgspec.msgpack.decode(Path(shard).read_bytes(), type=list[MissingRow])
        for found in self.work(rows):
            pace.took(found)
            results += found
        self.folder.write(results)
        return _Told(len(rows), pace.computed, pace.work, pace.reasons)


def hear(pace: SweepPace, batch: Any) -> None:
    """Add to ``pace`` what a ``RowWorker`` gave. Raises what it failed by, ``WorkerLost`` for a fault."""
    for raw in batch["told"].to_pylist():
        told = msgspec.msgpack.decode(raw, type=_Told)
        if told.failed is not None:
            raise told.failed.error
        pace.heard(told.rows, told.computed, told.work, told.reasons)


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
    """As ``here.sweep_in_process``, by ``workers`` actors that open the model with ``opening``.

    ``address``: of a Ray cluster that runs; empty: one is started here, bound to 127.0.0.1, and ended. Usage
    reports and dashboard are off. A node that is lost costs its batches, which others compute. Raises
    ``MissingPackage`` without Ray, ``BadParameter``, ``WorkerLost``, and what a worker failed by.
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
            places = [{"shard": str(place.resolve())} for place in sorted(shards.iterdir())]
            told = (
                # A block a shard, which the worker reads itself: files that Ray reads come one after another,
                # more slowly than a worker goes through them, and the others have nothing to do.
                ray.data.from_items(places, override_num_blocks=len(places))
                .map_batches(
                    RowWorker,
                    fn_constructor_kwargs={
                        "opening": dict(opening),
                        "folder": str(folder.path.resolve()),
                    },
                    batch_size=1,
                    batch_format="pyarrow",
                    # No worker has a second shard waiting while another has none.
                    compute=ray.data.ActorPoolStrategy(
                        size=workers, max_tasks_in_flight_per_actor=1
                    ),
                    num_cpus=_cores(workers, address),
                    **({"num_gpus": gpus_per_worker} if gpus_per_worker else {}),
                )
                .iter_batches(batch_size=None, batch_format="pyarrow")
            )
            for batch in told:
                check()
                hear(pace, batch)
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
    shutil.rmtree(shards, ignore_errors=True)
    shards.mkdir()
    a_shard = _rows_a_shard(folder.manifest.rows, workers)
    held: list[MissingRow] = []
    number = total = 0

    def flush() -> None:
        nonlocal number
        if held:
            atomic.write_bytes(shards / f"{number:08d}.msgpack", msgspec.msgpack.encode(held))
            number += 1
            held.clear()

    for row, missing in missing_rows(dataset, folder, finished):
        check()
        if not missing:
            pace.rows += 1
            continue
        held.append((row, missing))
        total += 1
        if len(held) >= a_shard:
            flush()
    flush()
    return total


def _rows_a_shard(rows: int | None, workers: int) -> int:
    """So many that every worker has several shards, and some rows of one length are together."""
    if rows is None:
        return _MOST
    return min(_MOST, max(rows // (_SHARDS_A_WORKER * workers), _FEWEST))


@contextlib.contextmanager
def _cluster(workers: int, gpus: float, address: str) -> Iterator[Any]:
    """Ray, joined or started; a cluster that was started here is ended."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what it logs is not for the user
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
        _require_answer(address)
        # One core more than the workers, for tasks of Ray's own.
        own: dict[str, Any] = {}
        if not address:
            cores = workers * _cores(workers, address) + 1
            own |= {"num_cpus": cores, "include_dashboard": False}
            own |= {"num_gpus": max(1, round(workers * gpus))} if gpus else {}
        try:
            with stderr_without(_LEVEL_SAID):
                ray.init(
                    address=address or _LOCAL,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    **own,
                )
        except (ConnectionError, RuntimeError, ValueError) as error:
            where = (
                f"The Ray cluster {address} cannot be joined" if address else "Ray does not start"
            )
            raise WorkerLost(
                f"{where}: {_first_line(error)}.", "Check the address, or leave it out."
            ) from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    try:
        yield ray
    except ray.exceptions.RayError as error:
        raise WorkerLost(f"Ray lost a worker: {_first_line(error)}.", _STAYS) from error
    finally:
        if started:
            ray.shutdown()


def _cores(workers: int, address: str) -> int:
    """Cores of a worker, and so torch's threads in it: its share of this machine, one on another cluster."""
    return 1 if address else max(1, len(os.sched_getaffinity(0)) // workers)


def _require_answer(address: str) -> None:
    """Raise ``WorkerLost`` where nobody listens at ``address``, host:port: Ray would wait for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or error
        raise WorkerLost(
            f"No Ray cluster answers at {address}: {said}.", "Check the address."
        ) from error


def _first_line(error: BaseException) -> str:
    """What ``error`` says first; Ray goes on for pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:200]
