"""Through the rows by processes of this machine: this one, and others that open the model for themselves.

Nothing is handed out: all take shards from the folder (``shards``) until there are none, and each writes its
own parts. The others import while this process opens its model, if they are started before. One that dies
costs what it had taken, which is put back; without any other this process does all of it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from interpboard.datasets.dataset import Dataset
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.in_process import OnPace, RowsFunction
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.row_results import RowResult
from interpboard.sweeps.shards import Shards, results_of_shard
from interpboard.sweeps.told import Told
from interpboard.sweeps.worker_process import ShardOrder, read_answer

COMMAND = (sys.executable, "-m", "interpboard.sweeps.worker_process")
_OWN = 0  # the number of this process among them
_LOOK_EVERY = 0.2  # seconds
_END_GRACE = 5.0  # seconds in which one that is left alone writes what it has


class _Worker:
    """One of the other processes. What it says, and that it has ended (None), is put into ``heard``."""

    def __init__(
        self, number: int, threads: int, heard: queue.SimpleQueue[tuple[_Worker, Told | None]]
    ) -> None:
        self.number, self.ended, self._heard = number, False, heard
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        environment.setdefault("TQDM_DISABLE", "1")
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, env=environment,
            start_new_session=True,  # ctrl+c is for the process that asks
        )  # fmt: skip
        threading.Thread(target=self._listen, daemon=True).start()

    def open(self, opening: Mapping[str, Any]) -> None:
        """Let it open the model; what it fails by it says when it is to work."""
        self._send(dict(opening))

    def begin(self, folder: SweepFolder) -> None:
        """Let it work with the model that it has opened."""
        self._send(ShardOrder(str(folder.path.resolve()), self.number))

    def _send(self, asked: object) -> None:
        """Of one that is gone already its end says so."""
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.write(pickle.dumps(asked))
            self._process.stdin.flush()

    def why(self) -> str:
        """How it ended; empty: as it should."""
        code = self._process.wait()
        if not code:
            return ""
        if code < 0:
            return f"a worker was ended by {signal.Signals(-code).name}"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"a worker ended with {lines[-1][:200] if lines else f'code {code}'}"

    def leave(self) -> None:
        """Nobody asks any more."""
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()

    def end(self) -> None:
        """Wait for it, not for long."""
        try:
            self._process.wait(_END_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _listen(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        while (raw := read_answer(pipe)) is not None:
            self._heard.put((self, msgspec.msgpack.decode(raw, type=Told)))
        self._heard.put((self, None))


class WorkerProcesses:
    """``number`` processes that import already, and wait for what is asked."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._opening = False
        self._heard: queue.SimpleQueue[tuple[_Worker, Told | None]] = queue.SimpleQueue()
        threads = threads_of_each(number + 1)
        self._workers = [_Worker(_OWN + 1 + i, threads, self._heard) for i in range(number)]

    def open(self, opening: Mapping[str, Any]) -> None:
        """Let them open the model of ``opening``, while this process does the same. Once is enough."""
        if not self._opening:
            self._opening = True
            for worker in self._workers:
                worker.open(opening)

    def begin(self, opening: Mapping[str, Any], folder: SweepFolder) -> None:
        """Let them take shards of ``folder``, with the model that they opened, or that of ``opening``."""
        self.open(opening)
        for worker in self._workers:
            worker.begin(folder)

    def hear(self, pace: SweepPace, shards: Shards, wait: float = 0.0) -> None:
        """Add to ``pace`` what they said until now, or say within ``wait`` seconds; put back what a dead one
        had. Raises what one failed by."""
        while True:
            try:
                worker, told = self._heard.get(timeout=wait) if wait else self._heard.get_nowait()
            except queue.Empty:
                return
            wait = 0.0
            if told is not None:
                told.heard_by(pace)
                continue
            worker.ended = True
            if why := worker.why():
                shards.put_back(worker.number)
                pace.lost.append(why)

    @property
    def working(self) -> bool:
        """Is any of them at it?"""
        return not all(worker.ended for worker in self._workers)

    def end(self) -> None:
        """End them; what they have computed they write first."""
        for worker in self._workers:
            worker.leave()
        for worker in self._workers:
            worker.end()


@contextlib.contextmanager
def worker_processes(number: int) -> Iterator[WorkerProcesses]:
    """``number`` of them, ended with the block."""
    processes = WorkerProcesses(number)
    try:
        yield processes
    finally:
        processes.end()


def sweep_by_processes(
    work: RowsFunction,
    opening: Mapping[str, Any],
    dataset: Dataset,
    folder: SweepFolder,
    processes: WorkerProcesses,
    check: Callable[[], None] = lambda: None,
    on_pace: OnPace = lambda _pace: None,
) -> SweepPace:
    """As ``in_process.sweep_in_process``, by this process with ``work`` and by ``processes`` beside it, which
    open the model with ``opening``. Raises what it does, and what one of them fails by."""
    finished = folder.finished()
    pace = SweepPace.begun(folder.manifest.rows, finished.counts)
    shards = Shards.of(folder)
    try:
        workers = processes.number + 1
        missing = shards.put_down(dataset, folder, finished, pace, check, workers)
        on_pace(pace)
        if not missing:
            return pace
        processes.begin(opening, folder)

        def between() -> None:
            check()
            processes.hear(pace, shards)
            on_pace(pace)

        with _own_share(workers):
            while True:
                _work_here(work, folder, shards, pace, between)
                if not processes.working and not shards.places():
                    return pace
                check()
                processes.hear(pace, shards, _LOOK_EVERY)
                on_pace(pace)
    finally:
        processes.end()
        shards.clear()


def _work_here(
    work: RowsFunction,
    folder: SweepFolder,
    shards: Shards,
    pace: SweepPace,
    between: Callable[[], None],
) -> None:
    """Shards until there are none. What there is is written, whatever ends it."""
    while (place := shards.take(_OWN)) is not None:
        held: list[RowResult] = []
        try:
            for results in results_of_shard(work, place, pace):
                held += results
                between()
        finally:
            folder.write(held)
        place.unlink()


def needs_ray(workers: int, gpus_per_worker: float, address: str) -> bool:
    """Whether workers are Ray's: it knows other machines, and gives each worker GPUs of its own."""
    return bool(address) or (workers > 1 and gpus_per_worker != 0)


def threads_of_each(workers: int) -> int:
    """Threads of torch in each of ``workers``: its share of the cores, or what the user asked for."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked):
        return int(asked)
    return max(1, len(os.sched_getaffinity(0)) // workers)


@contextlib.contextmanager
def _own_share(workers: int) -> Iterator[None]:
    """This process has no more threads than one of the others."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(min(before, threads_of_each(workers)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
