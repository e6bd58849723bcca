"""What a sweep will take: the plan of its first rows, for as many rows as there are.

An analysis that takes rows together is timed on some that are: they share passes, and what they begin with.
"""

from __future__ import annotations

from itertools import islice

from msgspec.structs import replace

from interpboard.datasets.dataset import Dataset
from interpboard.datasets.rows import DatasetRow
from interpboard.errors import BadParameter, InterpBoardError
from interpboard.models.language_model import LanguageModel
from interpboard.planning import counted_passes, plan
from interpboard.registry import ANALYSES
from interpboard.results import PromptInfo
from interpboard.results.plan import Plan
from interpboard.runs.chat import prompt_of
from interpboard.runs.together import Lengths
from interpboard.runs.watch import SILENT, Watch
from interpboard.sweeps.request import SweepRequest
from interpboard.sweeps.row_work import asked_of, work_rows

_LOOKED_AT = 3  # rows
_READ = 200  # rows, until so many can be used
_TOGETHER = 32  # rows that are timed together
_FEW = 4  # of which it is not worth while
_AT_MOST = 5.0  # seconds that they would take one by one


def plan_sweep(
    lm: LanguageModel,
    dataset: Dataset,
    request: SweepRequest,
    workers: int = 1,
    watch: Watch = SILENT,
) -> tuple[Plan, ...]:
    """A plan of each analysis over all rows: seconds by ``workers`` together, memory of one of them.

    The first rows that can be used are rehearsed, and the others taken to be like them; where an analysis
    takes rows together, some are run so, if that is soon done. Raises ``BadParameter`` where no row can be
    used.
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
    alone = [_over_rows(list(each), total, workers) for each in zip(*sampled, strict=True)]
    rows = [row for row in islice(dataset.rows(), _READ) if not row.problem][:_TOGETHER]
    return tuple(_together(lm, own, rows, request, total, workers, watch) for own in alone)


def _together(
    lm: LanguageModel,
    alone: Plan,
    rows: list[DatasetRow],
    request: SweepRequest,
    total: int,
    workers: int,
    watch: Watch,
) -> Plan:
    """The plan ``alone`` of an analysis, or one of rows that are taken together."""
    name, a_row = alone.analysis, alone.seconds * workers / total
    rows = rows[: int(_AT_MOST / max(a_row, 1e-6))]
    if not ANALYSES[name].over_rows or len(rows) < _FEW:
        return alone
    asked = replace(request, analyses=(name,))
    missing = [(row, {name: str(row.number)}) for row in rows]
    lengths = Lengths.none()
    list(work_rows(lm, missing, asked, watch.silent, lengths))  # what is found out once a length
    counted = next((found for row in rows if (found := _prompt(lm, row, request))), None)
    if counted is None:
        return alone
    with counted_passes(*counted) as passes:
        results = [
            each for own in work_rows(lm, missing, asked, watch.silent, lengths) for each in own
        ]
    good = [result.seconds for result in results if not result.error]
    a_pass = passes[0] / max(1, len(good))
    if not good or a_pass * total >= alone.forward_passes:
        return alone  # they are asked one by one
    by = f", {workers} workers" if workers > 1 else ""
    return replace(
        alone,
        forward_passes=round(a_pass * total, 1),
        seconds=sum(good) / len(good) * total / workers,
        because=f"{total:,} rows like the first {len(rows)}, which were taken together{by}",
    )


def _prompt(
    lm: LanguageModel, row: DatasetRow, request: SweepRequest
) -> tuple[LanguageModel, PromptInfo] | None:
    try:
        return prompt_of(lm, asked_of(row, request)[0])
    except InterpBoardError:
        return None  # it has its reason in the sweep


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
