"""Through the rows on Ray Data: an actor a worker opens the model once, and writes its parts itself.

The row function and the parts are those of ``in_process``. Rows that are missing are put down in shards first
(``shards``), so that no process holds them all; a part's name is made of what is in it, so one that is
computed again because a node was lost is the same file. The nodes must see the folder and the model under
the same paths. Workers of this machine that share no GPUs go without Ray, whose start takes longer than
theirs (``by_processes``).
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from interpboard.datasets.dataset import Dataset
from interpboard.errors import BadParameter, MissingPackage, WorkerLost
from interpboard.sweeps.descriptor_lines import stderr_without
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.in_process import OnPace
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.row_results import arrow
from interpboard.sweeps.shard_worker import OpenedModel, ShardWorker
from interpboard.sweeps.shards import Shards
from interpboard.sweeps.stop_signal import handler_kept
from interpboard.sweeps.told import STAYS, Told

_LOCAL = "local"
_ANSWER_S = 5.0
_LEVEL_SAID = "Set ray log level"  # the one line that it logs before the level is set
_LOOPBACK = ("127.0.0.1", "localhost")


class RowWorker:
    """An actor: a ``ShardWorker`` whose shards come and whose words go in tables."""

    def __init__(self, opening: Mapping[str, Any], folder: str) -> None:
        self.worker = ShardWorker(OpenedModel.of(opening), folder)

    def __call__(self, batch: Any) -> Any:
        """The rows of a shard to one part on disk; what comes back is how it went."""
        (shard,) = batch["shard"].to_pylist()
        told = self.worker.worked(Path(shard))
        return arrow().table({"told": [msgspec.msgpack.encode(told)]})


def hear(pace: SweepPace, batch: Any) -> None:
    """Add to ``pace`` what a ``RowWorker`` gave. Raises what it failed by, ``WorkerLost`` for a fault."""
    for raw in batch["told"].to_pylist():
        msgspec.msgpack.decode(raw, type=Told).heard_by(pace)


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
    """As ``in_process.sweep_in_process``, by ``workers`` actors that open the model with ``opening``.

    ``address``: of a Ray cluster that runs; empty: one is started here, bound to 127.0.0.1, and ended. Usage
    reports and dashboard are off. A node that is lost costs its batches, which others compute. Raises
    ``MissingPackage`` without Ray, ``WorkerLost``, and what a worker failed by.
    """
    finished = folder.finished()
    pace = SweepPace.begun(folder.manifest.rows, finished.counts)
    shards = Shards.of(folder)
    try:
        missing = shards.put_down(dataset, folder, finished, pace, check, workers)
        on_pace(pace)
        if not missing:
            return pace
        with _cluster(workers, gpus_per_worker, address) as ray:
            places = [{"shard": str(place.resolve())} for place in shards.places()]
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
        shards.clear()
    return pace


def check_cluster(workers: int, gpus_per_worker: float, address: str) -> None:
    """Raise ``BadParameter`` where this machine has not the GPUs that ``workers`` are to have: Ray believes
    what it is told, and they would compute on the CPU without a word. Of a cluster at ``address`` Ray knows
    itself. Raises ``MissingPackage`` where Ray is needed and is not there."""
    if (address or (workers > 1 and gpus_per_worker)) and find_spec("ray") is None:
        raise _no_ray()
    if not gpus_per_worker:
        return
    if gpus_per_worker > 1 and gpus_per_worker != int(gpus_per_worker):
        raise BadParameter(
            f"A worker has a part of one GPU or some whole ones, not {gpus_per_worker:g}."
        )
    if address:
        return
    import torch

    there = torch.cuda.device_count()
    if not there:
        raise BadParameter(
            "This machine has no GPU that PyTorch can use.",
            "Leave --gpus-per-worker out: workers share the cores then.",
        )
    needed = gpus_needed(workers, gpus_per_worker)
    if needed > there:
        raise BadParameter(
            f"{workers} workers with {gpus_per_worker:g} GPUs each need {needed}, this machine has {there}.",
            "Ask for fewer workers, or for less of a GPU.",
        )


def _no_ray() -> MissingPackage:
    return MissingPackage(
        "A cluster, and workers with GPUs of their own, need Ray.", "pip install 'interpboard[ray]'"
    )


def gpus_needed(workers: int, gpus_per_worker: float) -> int:
    """Whole GPUs on which so many workers have room: no worker has parts of two."""
    if gpus_per_worker >= 1:
        return round(workers * gpus_per_worker)
    return math.ceil(workers / math.floor(1 / gpus_per_worker + 1e-9))


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
        raise _no_ray() from None
    started = not ray.is_initialized()
    if started:
        _require_answer(address)
        # One core more than the workers, for tasks of Ray's own.
        own: dict[str, Any] = {}
        if not address:
            cores = workers * _cores(workers, address) + 1
            own |= {"num_cpus": cores, "include_dashboard": False}
            own |= {"num_gpus": gpus_needed(workers, gpus)} if gpus else {}
        try:
            with handler_kept(), stderr_without(_LEVEL_SAID):
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
        raise WorkerLost(f"Ray lost a worker: {_first_line(error)}.", STAYS) from error
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
