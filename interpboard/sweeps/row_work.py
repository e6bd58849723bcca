"""The row function: every analysis of a request on one row. The same in this process and on a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from interpboard.datasets.rows import DatasetRow
from interpboard.errors import BadParameter, InterpBoardError
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import memory_named
from interpboard.patching.subject import find_subject
from interpboard.registry import ANALYSES, find_analysis
from interpboard.results import Chat, Message, MetricRequest, PromptInfo, Result
from interpboard.runs.chat import prompt_of
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import token_text
from interpboard.runs.watch import SILENT, Watch
from interpboard.sweeps.alignment import roles_of
from interpboard.sweeps.request import OF_THE_ROW, SweepRequest
from interpboard.sweeps.row_results import RowResult

_SMALLER = "Leave the row out, ask for less at a time, or use a smaller --dtype or another device."


def row_function(
    lm: LanguageModel, request: SweepRequest, watch: Watch = SILENT
) -> Callable[[DatasetRow, Mapping[str, str]], list[RowResult]]:
    """``work_row`` of one model and request, as ``sweep_here`` takes it."""
    return lambda row, ids: work_row(lm, row, request, ids, watch.silent)


def work_row(
    lm: LanguageModel,
    row: DatasetRow,
    request: SweepRequest,
    ids: Mapping[str, str],
    watch: Watch = SILENT,
) -> list[RowResult]:
    """A result for each analysis of ``ids`` (its name: the result's id); of each that fails its reason.

    ``Cancelled`` passes through, and so does a fault of ours.
    """
    columns = dict(row.other) | ({"label": row.label} if row.label is not None else {})

    def failed(analysis: str, error: str, since: float) -> RowResult:
        return RowResult(
            ids[analysis], row.number, row.place, analysis,
            text=row.text, columns=columns, error=error, seconds=time.perf_counter() - since,
        )  # fmt: skip

    started = time.perf_counter()
    if row.problem:
        return [failed(name, f"The row {row.problem}.", started) for name in ids]
    try:
        with memory_named("A run of the prompt", _SMALLER):
            given, asked, params = asked_of(row, request)
            own, prompt = prompt_of(lm, given)
            metric = resolve_metric(own, prompt, asked)
            roles = _roles(prompt, metric, row)
    except InterpBoardError as error:
        return [failed(name, error.message, started) for name in ids]
    about = _about(own, row, request, prompt, metric) | {"roles": roles, "columns": columns}
    results = []
    for name in ids:
        since = time.perf_counter()
        try:
            with memory_named(f"The analysis {name}", _SMALLER):
                function: Callable[..., Result] = ANALYSES[name].load()
                parsed = ANALYSES[name].parse(params[name])
                result = function(own, prompt, metric, watch=watch, **parsed)
                numbers = _numbers(result)
        except InterpBoardError as error:
            results.append(failed(name, error.message, since))
            continue
        results.append(
            RowResult(
                ids[name],
                row.number,
                row.place,
                name,
                result.axes,
                numbers,
                baseline=result.baseline,
                warnings=result.warnings,
                seconds=time.perf_counter() - since,
                **about,
            )
        )
    return results


def asked_of(
    row: DatasetRow, request: SweepRequest
) -> tuple[str | Chat, MetricRequest, dict[str, dict[str, Any]]]:
    """The prompt of ``row``, its metric, and the parameters of each analysis: the request's where the row
    names none of its own."""
    given: str | Chat = row.text
    if row.messages is not None:
        goes_on = row.messages[-1][0] == "assistant"
        messages = tuple(Message(role, content) for role, content in row.messages)
        given = Chat(messages, continue_final_message=goes_on)
    asked = request.metric
    metric = MetricRequest(
        asked.name,
        asked.target if row.target is None else row.target,
        asked.foil if row.foil is None else row.foil,
        asked.position if row.position is None else row.position,
    )
    of_row = {key: row.column(key) for key in OF_THE_ROW if row.column(key) is not None}
    params = {}
    for name in request.analyses:
        takes = {parameter.name for parameter in find_analysis(name).parameters}
        own = {key: value for key, value in of_row.items() if key in takes}
        params[name] = {**request.params.get(name, {}), **own}
    return given, metric, params


def _roles(prompt: PromptInfo, metric: Metric, row: DatasetRow) -> tuple[str, ...]:
    subject = find_subject(prompt, row.subject).positions if row.subject is not None else ()
    return roles_of(prompt, metric.info.position, subject)


def _numbers(result: Result) -> np.ndarray:
    if result.values.dtype == object:
        raise BadParameter(f"{result.analysis} gives texts, of which there is no mean.")
    return result.values.astype(np.float64).reshape(-1)


def _about(
    lm: LanguageModel, row: DatasetRow, request: SweepRequest, prompt: PromptInfo, metric: Metric
) -> dict[str, Any]:
    named = row.target is not None or request.metric.target is not None
    top = int(metric.clean_logits.argmax())
    info = metric.info
    return {
        "metric": info.name,
        "target": info.target.token if info.target else None,
        "target_id": info.target.id if info.target else None,
        "foil": info.against.token if info.against else None,
        "position": info.position,
        "answer": token_text(lm.tokenizer, top),
        "right": top == metric.target_id if named else None,
        "text": prompt.text,
    }
