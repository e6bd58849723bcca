"""A sweep from the command line: how far it is on standard error, and what is written when it is stopped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from interpboard.cli.compute import ModelChoice, opened, opening_words
from interpboard.cli.narration import progress, quiet_libraries, stdout_aside
from interpboard.cli.streams import say
from interpboard.display import failed_words, spoken_seconds
from interpboard.engine.threads import let_threads_sleep

if TYPE_CHECKING:
    from interpboard.datasets.dataset import Dataset
    from interpboard.results import Document
    from interpboard.results.plan import Plan
    from interpboard.sweeps.pace import SweepPace
    from interpboard.sweeps.request import SweepRequest

SAID_EVERY = 30.0  # seconds, where there is no terminal for a bar
_REASONS = 5


def swept(
    choice: ModelChoice,
    dataset: Dataset,
    request: SweepRequest,
    output: Path,
    *,
    level: float,
    workers: int,
    gpus_per_worker: float,
    ray: str,
    debug: bool,
) -> Document:
    """Compute what ``output`` does not have, and the means. What went wrong is said, by reason."""
    from interpboard.sweeps.by_processes import needs_ray, worker_processes

    last: list[SweepPace] = []
    others = 0 if needs_ray(workers, gpus_per_worker, ray) else workers - 1
    with (
        progress() as show,
        stdout_aside(debug),
        quiet_libraries(debug),
        # First: they import while this process does.
        worker_processes(others) as beside,
    ):
        show("importing torch", 0, 0)
        beside.open(opening_words(choice))  # they open the model as this process does
        let_threads_sleep()
        from interpboard.sweeps.on_ray import check_cluster
        from interpboard.sweeps.sweep import sweep

        check_cluster(workers, gpus_per_worker, ray)  # before a model is opened
        lm = opened(choice, show)
        tell = _teller(show, last)
        try:
            document = sweep(
                lm, dataset, request.analyses, output,
                metric=request.metric, params=request.params, save=request.save,
                align=request.align, group=request.group, level=level, workers=workers,
                gpus_per_worker=gpus_per_worker, ray=ray, opening=opening_words(choice),
                beside=beside,
                on_pace=tell,
            )  # fmt: skip
        except KeyboardInterrupt:
            rows = f" after {last[-1].rows:,} rows" if last else ""
            say(f"stopped{rows}; what was computed is in {output}, the same command goes on")
            raise
    if last:
        for line in ended_lines(last[-1], output):
            say(line)
    return document


def planned_sweep(
    choice: ModelChoice, dataset: Dataset, request: SweepRequest, workers: int, *, debug: bool
) -> tuple[Plan, ...]:
    """What ``swept`` would take."""
    with progress() as show, stdout_aside(debug), quiet_libraries(debug):
        show("importing torch", 0, 0)
        let_threads_sleep()
        from interpboard.sweeps.plan import plan_sweep

        return plan_sweep(opened(choice, show), dataset, request, workers)


def _teller(
    show: Callable[[str, int, int], None], last: list[SweepPace]
) -> Callable[[SweepPace], None]:
    """Hears how it goes: for the bar, or a line now and then where there is none."""
    has_bar = bool(sys.stderr and sys.stderr.isatty())
    said = [time.monotonic()]

    def tell(pace: SweepPace) -> None:
        last[:] = [pace]
        if has_bar:
            show(pace_words(pace), pace.rows, pace.of or 0)
        elif time.monotonic() - said[0] > SAID_EVERY:
            said[0] = time.monotonic()
            say(pace_words(pace))

    return tell


def pace_words(pace: SweepPace) -> str:
    """``120 of 1,000 rows, 3 results failed, 12 rows/s, 1 min left``."""
    of = "" if pace.of is None else f" of {pace.of:,}"
    words = [f"{pace.rows:,}{of} rows"]
    if pace.failed:
        words.append(failed_words(pace.failed))
    if pace.rows_computed:
        words.append(f"{pace.rate:.3g} rows/s")
    if pace.left is not None:
        words.append(f"{spoken_seconds(pace.left)} left")
    return ", ".join(words)


def ended_lines(pace: SweepPace, output: Path) -> list[str]:
    """The end of it, and why results are missing, the most frequent reason first."""
    from interpboard.sweeps.pace import MAY_PASS

    known = f", {pace.known:,} known before" if pace.known else ""
    lines = [f"{pace.rows:,} rows, {pace.computed:,} results computed{known}: {output}"]
    lines += [f"{why}; the others computed its rows" for why in pace.lost]
    reasons = sorted(pace.reasons.items(), key=lambda item: -item[1])
    lines += [f"{failed_words(number)}: {reason}" for reason, number in reasons[:_REASONS]]
    if len(reasons) > _REASONS:
        lines.append(f"and {len(reasons) - _REASONS} other reasons, in the parts' column error")
    if pace.passing:
        lines.append(f"{pace.passing:,} of them failed {MAY_PASS}: the same command tries again")
    if pace.again:
        were = "was" if pace.again == 1 else "were"
        lines.append(f"{pace.again:,} had failed before {MAY_PASS}, and {were} tried again")
    return lines
