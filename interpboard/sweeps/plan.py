"""What a sweep will take: the plan of its first rows, for as many rows as there are."""

from __future__ import annotations

from itertools import islice

from msgspec.structs import replace

from interpboard.datasets.dataset import Dataset
from interpboard.errors import BadParameter, InterpBoardError
from interpboard.models.language_model import LanguageModel
from interpboard.planning import plan
from interpboard.results.plan import Plan
from interpboard.runs.watch import SILENT, Watch
from interpboard.sweeps.request import SweepRequest
from interpboard.sweeps.row_work import asked_of

_LOOKED_AT = 3  # rows
_READ = 200  # rows, until so many can be used


def plan_sweep(
    lm: LanguageModel,
    dataset: Dataset,
    request: SweepRequest,
    workers: int = 1,
    watch: Watch = SILENT,
) -> tuple[Plan, ...]:
    """A plan of each analysis over all rows: seconds by ``workers`` together, memory of one of them.

    The first rows that can be used are rehearsed, and the others taken to be like them. Raises
    ``BadParameter`` where no row can be used.
    """
    total = sum(1 for _ in dataset.rows())
    sampled: list[tuple[Plan, ...]] = []
    reason = "it has none"
    for row in islice(dataset.rows(), _READ):
        if len(sampled) == _LOOKED_AT:
            break
        if row.problem:
            reason = row.problem
            continue
        try:
            text, metric, params = asked_of(row, request)
            sampled.append(plan(lm, text, request.analyses, metric, params, watch=watch.silent))
        except InterpBoardError as error:
            reason = error.message
    if not sampled:
        raise BadParameter("None of the first rows can be used:", f"{reason}.")
    return tuple(_over_rows(list(each), total, workers) for each in zip(*sampled, strict=True))


def _over_rows(plans: list[Plan], rows: int, workers: int) -> Plan:
    def times(of_one: float) -> float:
        return of_one / len(plans) * rows

    memory = [own.bytes_peak for own in plans if own.bytes_peak is not None]
    by = f", {workers} workers" if workers > 1 else ""
    return replace(
        plans[0],
        tokens=max(own.tokens for own in plans),
        rows=round(times(sum(own.rows for own in plans))),
        forward_passes=times(sum(own.forward_passes for own in plans)),
        bytes_peak=max(memory) if len(memory) == len(plans) else None,
        seconds=times(sum(own.seconds for own in plans)) / workers,
        because=f"{rows:,} rows like the first {len(plans)}{by}",
    )
