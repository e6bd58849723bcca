"""Plans as text or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from interpboard.cli.options import Format
from interpboard.display import spoken_bytes, spoken_seconds
from interpboard.errors import BadParameter

if TYPE_CHECKING:
    from interpboard.results.plan import Plan

_HEAD = ("analysis", "time", "memory", "passes", "")


def plans_as(plans: Sequence[Plan], form: Format) -> str:
    """Raises ``BadParameter`` for a format that plans do not have."""
    if form is Format.json:
        import msgspec  # late: `config show` needs nothing of it

        return msgspec.json.format(msgspec.json.encode(list(plans)), indent=2).decode() + "\n"
    if form is not Format.text:
        raise BadParameter(f"A plan has no format {form.value}.", "Use text or json.")
    rows = [_HEAD, *(_row(plan) for plan in plans)]
    if len(plans) > 1:
        rows.append(("together", spoken_seconds(sum(plan.seconds for plan in plans)), "", "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in (1, 2, 3)), row[4]]
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _row(plan: Plan) -> tuple[str, ...]:
    memory = "not known" if plan.bytes_peak is None else spoken_bytes(plan.bytes_peak)
    passes = f"{plan.forward_passes:,.0f}"
    return plan.analysis, spoken_seconds(plan.seconds), memory, passes, plan.because
