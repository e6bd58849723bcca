"""A plan in words: of one line in a box of fields, and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from interpboard.display import spoken_bytes, spoken_seconds, visible

if TYPE_CHECKING:
    from interpboard.engine.protocol import Failed
    from interpboard.results.plan import Plan


@dataclass(frozen=True)
class PlanSaid:
    """``line`` says all of it; ``rows`` the same by name. ``refused``: it cannot be run so."""

    line: str
    rows: tuple[tuple[str, str], ...] = ()
    refused: bool = False


def spoken_plan(plan: Plan) -> PlanSaid:
    """``3.2 s  45 MiB  120 passes  96 edited runs, 8 of them timed``."""
    seconds, memory = spoken_seconds(plan.seconds), "not known on this system"
    if plan.bytes_peak is not None:
        memory = f"{spoken_bytes(plan.bytes_peak)} above what is held"
    passes = f"{plan.forward_passes:,.0f}"
    rows = (
        ("time", f"{seconds} on this machine as it is now"),
        ("memory", memory),
        ("passes", f"{passes}, each over all {plan.tokens:,} tokens"),
        ("because", plan.because),
    )
    size = () if plan.bytes_peak is None else (spoken_bytes(plan.bytes_peak),)
    return PlanSaid("  ".join((seconds, *size, f"{passes} passes", plan.because)), rows)


def refused_plan(failed: Failed) -> PlanSaid:
    """Why it cannot be run, and what would fit."""
    return PlanSaid(visible(f"{failed.message} {failed.remedy}".strip()), refused=True)
