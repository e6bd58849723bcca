"""A sweep in words: how far it is, how it ended, and what it would take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from interpboard.display import failed_words, spoken_bytes, spoken_seconds
from tui.commands.command import keyed
from tui.dialogs.plan_words import PlanSaid

if TYPE_CHECKING:
    from interpboard.sweeps.standing import SweepStanding


def standing_words(standing: SweepStanding) -> str:
    """``120 of 1,000 rows, 3 results failed, 12 rows/s, 1 min left``."""
    of = "" if standing.of is None else f" of {standing.of:,}"
    words = [f"{standing.rows:,}{of} rows"]
    words += [failed_words(standing.failed)] if standing.failed else []
    words += [f"{standing.rate:.3g} rows/s"] if standing.rate else []
    words += [f"{spoken_seconds(standing.left)} left"] if standing.left is not None else []
    return ", ".join(words)


def begun_words(workers: int, before: int | None, *, on: bool) -> str:
    """That a sweep begins, or goes ``on``, by how many, and how many it had ``before``."""
    begins = "goes on" if on else "begins"
    by = f", by {workers} workers as before" if on and workers > 1 else ""
    if before is not None and before > workers:
        many = "1 worker" if workers == 1 else f"{workers} workers"
        by = f", by {many}, one a core here, of {before:,} on another machine"
    return keyed(
        f"The sweep {begins}{by}; it runs on when the app is left. {{key:dataset_stop}} stops it."
    )


def ended_words(standing: SweepStanding) -> tuple[str, Any]:
    """How a sweep ended, and how serious that is."""
    from interpboard.sweeps.pace import MAY_PASS

    rows = f"{standing.rows:,} rows" + (f" of {standing.of:,}" if standing.of is not None else "")
    reasons = sorted(standing.reasons.items(), key=lambda item: -item[1])
    failed = f" {standing.failed:,} results have only a reason: {reasons[0][0]}" if reasons else ""
    if standing.passing:
        failed += f" {standing.passing:,} failed {MAY_PASS}: " + keyed(
            "{key:dataset_start} in Dataset tries again."
        )
    if standing.state == "done":
        return f"The sweep is done: {rows}.{failed}", "information"
    if standing.state == "failed":
        return f"The sweep ended: {standing.why}", "error"
    again = keyed("{key:dataset_start} in Dataset goes on.")
    if standing.state == "stopped":
        return f"The sweep is stopped: {rows}, all of them kept. {again}", "information"
    return f"The sweep's process is gone: {rows}, what it had written is kept. {again}", "warning"


def plan_of_rows(plans: Sequence[Any], rows: int) -> PlanSaid:
    one = sum(plan.seconds for plan in plans)
    memory = [plan.bytes_peak for plan in plans if plan.bytes_peak is not None]
    size = f"  {spoken_bytes(max(memory))} above a second copy of the model" if memory else ""
    each = f"{one:.2g} s" if one < 10 else spoken_seconds(one)
    return PlanSaid(
        f"{rows:,} rows × {each} = {spoken_seconds(one * rows)}{size}, rows like the first"
    )
