"""How far a sweep is, in its folder: for whoever watches it from another process.

``standing.json`` is written by the sweep about once a second. It is no part of what the sweep has computed:
without it nothing is lost, and a folder that has none, or one that cannot be read, has a standing of its rows
alone.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from interpboard.errors import BadParameter, Cancelled
from interpboard.files import atomic
from interpboard.sweeps.folder import SweepFolder
from interpboard.sweeps.pace import SweepPace
from interpboard.sweeps.stop_signal import NO_SIGNAL, heeded_signal

_NAME, _EVERY = "standing.json", 1.0  # seconds
_REASONS = 20  # of them are written

SweepState = Literal["running", "done", "stopped", "failed"]


class SweepWorkers(msgspec.Struct, frozen=True):
    """Who shares the rows: ``workers`` processes of this machine, or with ``gpus_per_worker`` or the address
    ``ray`` of a cluster, actors of Ray."""

    workers: int = 1
    gpus_per_worker: float = 0.0
    ray: str = ""


class SweepStanding(msgspec.Struct, frozen=True, kw_only=True):
    """``rows`` passed of ``of``, results ``computed`` now and ``known`` before, ``failed`` of all, and why.

    Of those ``passing`` failed now by what may pass, ``again`` had before. ``rate`` in rows a second,
    ``left`` in seconds, None: not known. ``pid`` on ``host`` wrote it at the time ``at``, and stops at
    ``signal`` (``NO_SIGNAL``: at none); ``by``: who share the rows; ``why``: what ended it.
    """

    state: SweepState
    rows: int = 0
    of: int | None = None
    computed: int = 0
    known: int = 0
    failed: int = 0
    reasons: dict[str, int] = {}
    passing: int = 0
    again: int = 0
    rate: float = 0.0
    left: float | None = None
    pid: int = 0
    signal: int = NO_SIGNAL
    host: str = ""
    at: float = 0.0
    by: SweepWorkers = SweepWorkers()
    why: str = ""

    @property
    def runs(self) -> bool:
        """Does its process live? Of another machine's it is not known: it is taken at its word."""
        if self.state != "running":
            return False
        return self.host != socket.gethostname() or _lives(self.pid)

    @property
    def by_here(self) -> SweepWorkers:
        """Who goes on with it: as many as before, but of what ran on another machine one a core of this."""
        ours = self.host in ("", socket.gethostname()) or self.by.ray or self.by.gpus_per_worker
        cores = len(os.sched_getaffinity(0))
        return self.by if ours else replace(self.by, workers=min(self.by.workers, cores))


@contextmanager
def told_standing(
    folder: SweepFolder,
    on_pace: Callable[[SweepPace], None],
    by: SweepWorkers = SweepWorkers(),  # noqa: B008 - frozen
) -> Iterator[Callable[[SweepPace], None]]:
    """Hears the pace for ``on_pace``, and writes it into ``folder`` now and then, and how it ended."""
    write = partial(_write, folder, by)
    heard, written = SweepPace(folder.manifest.rows), 0.0

    def tell(pace: SweepPace) -> None:
        nonlocal heard, written
        heard = pace
        if time.monotonic() - written > _EVERY:
            written = time.monotonic()
            write(pace, "running", heeded)
        on_pace(pace)

    try:
        with heeded_signal() as heeded:
            write(heard, "running", heeded)
            yield tell
    except (KeyboardInterrupt, Cancelled, SystemExit):  # the last by a program's own handler
        write(heard, "stopped")
        raise
    except BaseException as error:
        why = str(error).splitlines()[0][:300] if str(error) else ""
        write(heard, "failed", why=why)
        raise
    write(heard, "done")


def read_standing(path: Path) -> SweepStanding | None:
    """What the sweep in ``path`` said last; None: it said nothing, or nothing that can be read."""
    try:
        return msgspec.json.decode((path / _NAME).read_bytes(), type=SweepStanding)
    except (OSError, msgspec.MsgspecError):
        return None


def stop_sweep(path: Path) -> None:
    """Ask the process that writes to ``path`` to stop; it writes what it has computed first.

    Raises ``BadParameter`` where none does, or it is another machine's: only a process that holds the
    folder's lock is signalled, so never one that has got the number of an older one.
    """
    standing = read_standing(path)
    if standing is None or not standing.runs or not _is_locked(path):
        raise BadParameter(f"No sweep writes to {path} now.")
    if standing.host != socket.gethostname():
        raise BadParameter(f"It runs on {standing.host}.", "Stop it there.")
    if standing.signal == NO_SIGNAL:
        raise BadParameter(
            f"The sweep is a part of process {standing.pid}, which hears no signal for it.",
            "Stop it there.",
        )
    os.kill(standing.pid, standing.signal)


def _write(
    folder: SweepFolder,
    by: SweepWorkers,
    pace: SweepPace,
    state: SweepState,
    heeded: int = NO_SIGNAL,
    *,
    why: str = "",
) -> None:
    """A disk that takes no more is said where results are written: this is not worth stopping for."""
    most = sorted(pace.reasons.items(), key=lambda item: -item[1])[:_REASONS]
    standing = SweepStanding(
        state=state, rows=pace.rows, of=pace.of, computed=pace.computed, known=pace.known,
        failed=pace.failed, reasons=dict(most), passing=pace.passing, again=pace.again,
        rate=pace.rate, left=pace.left,
        pid=os.getpid(), signal=heeded, host=socket.gethostname(), at=time.time(), by=by, why=why,
    )  # fmt: skip
    try:
        atomic.write_bytes(folder.path / _NAME, msgspec.json.encode(standing))
    except OSError:
        return


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _is_locked(path: Path) -> bool:
    """Does a process hold the folder's lock? Asked only of one that is said to run."""
    try:
        with (path / ".lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
