"""One analysis in the engine: watched, its cells kept, given up for something quicker and taken up again."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from interpboard.engine import protocol
from interpboard.engine.jobs import Queue
from interpboard.engine.kept_jobs import KeptJobs
from interpboard.engine.outbox import Outbox
from interpboard.engine.telling import Telling
from interpboard.errors import Cancelled
from interpboard.results import LabelledArray, Result

if TYPE_CHECKING:
    from interpboard.analyze import BegunAnalysis
    from interpboard.runs.kept import KeptCells
    from interpboard.runs.speed import Speed


class Interrupted(Cancelled):
    """A job was cancelled after it had begun. ``last``: where it was."""

    def __init__(self, last: protocol.Progress | None) -> None:
        super().__init__()
        self.last = last


def compute_job(
    begun: BegunAnalysis,
    request: protocol.RunAnalysis,
    outbox: Outbox,
    queue: Queue,
    jobs: KeptJobs,
    speed: Speed,
) -> Result | None:
    """The result; None if the job has given way and waits again, with its cells in ``jobs``.

    Raises ``Interrupted``, and what the analysis raises.
    """
    from interpboard.runs.kept import Share
    from interpboard.runs.watch import Postponed, Watch

    kept: KeptCells | None = None
    if begun.analysis.cells or begun.analysis.gives_way:
        kept = jobs.take(request.job, begun.fingerprint, request.cells)
        kept.share = Share(*request.share) if request.share is not None else None
        kept.begin()
    if begun.analysis.cells:
        outbox.send(protocol.Begun(request.job, begun.prompt, begun.nothing_yet))
    before, started = (len(kept) if kept is not None else 0), time.monotonic()
    telling = Telling(request.job, outbox.send, kept if begun.analysis.cells else None, started)

    def step(done: int, total: int, partial: LabelledArray | None) -> None:
        telling.step(done, total, partial)
        if partial is not None:
            queue.estimated()

    watch = Watch(
        on_progress=step,
        cancelled=queue.cancelled,
        on_pace=telling.pace,
        kept=kept,
        gives_way=queue.gives_way if kept is not None else _never,
        speed=speed,
    )
    how = "failed"
    try:
        result = begun.run(watch)
        how = "done"
        rest = telling.rest()
        if (
            rest is not None
        ):  # its owner may have left it meanwhile, and keep no more than its cells
            outbox.send(rest)
        return result
    except Postponed:
        assert kept is not None
        how = "gave way"
        last = telling.last()
        if last is not None:
            outbox.send(last)
        jobs.gave_way(request.job, kept)
        queue.put_back(request)
        return None
    except Cancelled:
        how = "stopped"
        if kept is not None:
            jobs.was_stopped(kept)
        raise Interrupted(telling.last()) from None
    finally:
        fresh = len(kept) - before if kept is not None else 0
        if before or (fresh and how != "done"):
            _log(request, before, fresh, how, time.monotonic() - started)


def _log(request: protocol.RunAnalysis, before: int, now: int, how: str, seconds: float) -> None:
    """What was computed of a job that did not run in one go: each cell is in one of these lines."""
    print(
        f"{request.analysis}: {before} cells were known, {now} computed in {seconds:.1f} s, {how}",
        file=sys.stderr,
        flush=True,
    )


def _never() -> bool:
    return False
