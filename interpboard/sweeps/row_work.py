"""The row function: every analysis of a request on each of some rows. The same in this process and on a
cluster.

Rows whose prompts have as many tokens share their clean runs and the gradients at their embeddings
(``runs.together``); what the analyses of one row begin with is computed once for all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from interpboard.datasets.rows import DatasetRow, UnusableRow, choices_of
from interpboard.errors import BadParameter, InterpBoardError
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import memory_named
from interpboard.patching.subject import find_subject
from interpboard.registry import ANALYSES, find_analysis
from interpboard.results import Chat, Message, MetricRequest, PromptInfo, Result
from interpboard.runs.baselines import know_baselines
from interpboard.runs.chat import prompt_of
from interpboard.runs.labels import logit_name
from interpboard.runs.metrics import Metric, metric_for
from interpboard.runs.over_rows import results_over_rows
from interpboard.runs.shared import sharing
from interpboard.runs.together import Lengths, Together, in_passes
from interpboard.runs.watch import SILENT, Watch
from interpboard.sweeps.alignment import OF_TOKENS, roles_of
from interpboard.sweeps.in_process import MissingRow, RowsFunction
from interpboard.sweeps.request import OF_THE_ROW, UNITS_ALIGNED, SweepRequest
from interpboard.sweeps.row_results import RowResult
from interpboard.sweeps.unit_roles import roles_by_unit

_SMALLER = "Leave the row out, ask for less at a time, or use a smaller --dtype or another device."


@dataclass
class _Task:
    """A row on its way. ``prepared``: seconds that its analyses share; ``notes``: what was chosen of its
    subject, where there was a choice."""

    row: DatasetRow
    ids: Mapping[str, str]
    lm: LanguageModel
    prompt: PromptInfo
    asked: MetricRequest
    params: dict[str, dict[str, Any]]
    prepared: float
    about: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    metric: Metric | None = None


def rows_function(lm: LanguageModel, request: SweepRequest, watch: Watch = SILENT) -> RowsFunction:
    """``work_rows`` of one model and request, as ``sweep_in_process`` takes it."""
    lengths = Lengths.none()
    return lambda rows: work_rows(lm, rows, request, watch.silent, lengths)


def work_rows(
    lm: LanguageModel,
    rows: Sequence[MissingRow],
    request: SweepRequest,
    watch: Watch = SILENT,
    lengths: Lengths | None = None,
) -> Iterator[list[RowResult]]:
    """Of each row a result for each analysis of its ids (by name); of each that fails its reason.

    ``lengths``: what was found out about passes over several prompts of this model, and is. ``Cancelled``
    passes through, and so does a fault of ours.
    """
    lengths = lengths or Lengths.none()
    tasks: list[_Task] = []
    for row, ids in rows:
        task = _task(lm, row, ids, request)
        if isinstance(task, list):
            yield task
        else:
            tasks.append(task)
    for special in (True, False):  # chats are read without the tokenizer's own
        own = [task for task in tasks if task.lm.special_tokens is special]
        own.sort(key=lambda task: task.prompt.token_ids)  # neighbours begin alike
        for part in in_passes(lm, own, lambda task: task.prompt):
            yield from _work_together(part, request, watch, lengths)


def _work_together(
    tasks: Sequence[_Task], request: SweepRequest, watch: Watch, lengths: Lengths
) -> Iterator[list[RowResult]]:
    together = Together(tasks[0].lm, [task.prompt for task in tasks], lengths)
    sites = {site for task in tasks for name in task.ids for site in ANALYSES[name].records}
    since = time.perf_counter()
    if together.lm.verified.sites.issuperset(sites):
        together.whole(sorted(sites))  # one pass for all of them
    shared = (time.perf_counter() - since) / len(tasks)
    for task in tasks:
        task.prepared += shared
    ready, failed = [], []
    with together.left_alone(), sharing(together):
        for task in tasks:
            since = time.perf_counter()
            try:
                with memory_named("A run of the prompt", _SMALLER):
                    task.metric = metric_for(task.lm, task.prompt, task.asked, task.ids)
                    task.about = _about(task, request)
            except InterpBoardError as error:
                failed.append(
                    [_failed(task.row, task.ids, name, error, since) for name in task.ids]
                )
                continue
            together.measures(task.prompt, task.metric)
            task.prepared += time.perf_counter() - since
            ready.append(task)
    yield from failed
    since = time.perf_counter()
    know_baselines([task.metric for task in ready if task.metric is not None])
    for task in ready:
        task.prepared += (time.perf_counter() - since) / len(ready)
    known = _of_all(together, ready, watch)
    for task in ready:
        with sharing(together):
            results = [
                known.get((id(task), name)) or _result(task, name, watch) for name in task.ids
            ]
        yield results


def _of_all(
    together: Together, tasks: Sequence[_Task], watch: Watch
) -> dict[tuple[int, str], RowResult]:
    """What can be computed of several tasks at once, by the task and the analysis: those of one analysis with
    the same parameters."""
    alike: dict[tuple[str, str], list[_Task]] = {}
    for task in tasks:
        for name in task.ids:
            params = repr(sorted(task.params[name].items()))
            alike.setdefault((name, params), []).append(task)
    found: dict[tuple[int, str], RowResult] = {}
    for (name, _), some in alike.items():
        try:
            with sharing(together), memory_named(f"The analysis {name}", _SMALLER):
                results = results_over_rows(
                    name,
                    together,
                    [task.prompt for task in some],
                    [task.metric for task in some if task.metric is not None],
                    ANALYSES[name].parse(some[0].params[name]),
                    watch,
                )
        except InterpBoardError:
            continue  # each is asked by itself, and has its own reason
        for task, result in zip(some, results or (), strict=False):
            found[id(task), name] = _kept(task, name, result, result.elapsed_s)
    return found


def _task(
    lm: LanguageModel, row: DatasetRow, ids: Mapping[str, str], request: SweepRequest
) -> _Task | list[RowResult]:
    """A row that can be run, or why not."""
    since = time.perf_counter()
    if row.problem:
        unusable = BadParameter(f"The row {row.problem}.")
        return [_failed(row, ids, name, unusable, since) for name in ids]
    try:
        given, asked, params = asked_of(row, request)
        own, prompt = prompt_of(lm, given)
    except InterpBoardError as error:
        return [_failed(row, ids, name, error, since) for name in ids]
    return _Task(row, ids, own, prompt, asked, params, time.perf_counter() - since)


def _result(task: _Task, name: str, watch: Watch) -> RowResult:
    since = time.perf_counter()
    try:
        with memory_named(f"The analysis {name}", _SMALLER):
            function: Callable[..., Result] = ANALYSES[name].load()
            parsed = ANALYSES[name].parse(task.params[name])
            result = function(task.lm, task.prompt, task.metric, watch=watch, **parsed)
            return _kept(task, name, result, time.perf_counter() - since)
    except InterpBoardError as error:
        return _failed(task.row, task.ids, name, error, since)


def _kept(task: _Task, name: str, result: Result, seconds: float) -> RowResult:
    """``result`` as a row's: its values, and what is known of the row."""
    return RowResult(
        task.ids[name],
        task.row.number,
        task.row.place,
        name,
        result.axes,
        _numbers(result),
        baseline=result.baseline,
        warnings=_warnings(task, result),
        seconds=seconds + task.prepared / len(task.ids),
        **(task.about | (_of_choices(task, result) if ANALYSES[name].own_target else {})),
    )


def _warnings(task: _Task, result: Result) -> tuple[str, ...]:
    """Those of ``result``, and where its tokens are put together by their roles those of the roles."""
    by_roles = any(axis.name in OF_TOKENS for axis in result.axes)
    return tuple(dict.fromkeys((*result.warnings, *(task.notes if by_roles else ()))))


def _failed(
    row: DatasetRow, ids: Mapping[str, str], analysis: str, error: InterpBoardError, since: float
) -> RowResult:
    return RowResult(
        ids[analysis], row.number, row.place, analysis, text=row.text, columns=row.kept,
        error=error.message, again=error.passing, seconds=time.perf_counter() - since,
    )  # fmt: skip


def asked_of(
    row: DatasetRow, request: SweepRequest
) -> tuple[str | Chat, MetricRequest, dict[str, dict[str, Any]]]:
    """The prompt of ``row``, its metric, and the parameters of each analysis: the request's where the row
    names none of its own."""
    asked = request.metric
    metric = MetricRequest(
        asked.name,
        asked.target if row.target is None else row.target,
        asked.foil if row.foil is None else row.foil,
        asked.position if row.position is None else row.position,
    )
    params = {}
    for name in request.analyses:
        takes = {parameter.name for parameter in find_analysis(name).parameters}
        given = {key: _given(row, key) for key in OF_THE_ROW if key in takes}
        own = {key: value for key, value in given.items() if value is not None}
        params[name] = {**request.params.get(name, {}), **own}
    return text_of_row(row), metric, params


def _given(row: DatasetRow, name: str) -> str | None:
    """What ``row`` has for a parameter. Raises ``BadParameter`` for choices that are none."""
    try:
        return choices_of(row) if name == "choices" else row.column(name)
    except UnusableRow as error:
        raise BadParameter(f"The row {error}.") from None


def text_of_row(row: DatasetRow) -> str | Chat:
    """The prompt of ``row``; a chat that ends with the assistant goes on there."""
    if row.messages is None:
        return row.text
    goes_on = row.messages[-1][0] == "assistant"
    messages = tuple(Message(role, content) for role, content in row.messages)
    return Chat(messages, continue_final_message=goes_on)


def _roles(task: _Task, metric: Metric, align: str) -> tuple[str, ...]:
    if align in UNITS_ALIGNED:
        return roles_by_unit(task.prompt, align)
    subject: tuple[int, ...] = ()
    if task.row.subject is not None:
        found = find_subject(task.prompt, task.row.subject)
        subject, task.notes = found.positions, found.notes
    return roles_of(task.prompt, metric.info.position, subject)


def _numbers(result: Result) -> np.ndarray:
    if result.values.dtype == object:
        raise BadParameter(f"{result.analysis} gives texts, of which there is no mean.")
    return result.values.astype(np.float64).reshape(-1)


def _of_choices(task: _Task, result: Result) -> dict[str, Any]:
    """What is known of a row whose choices are compared: which is explained, and which the model takes."""
    found = result.extra["clean_score" if "clean_score" in result.extra else "score"]
    (axis,), taken = found.axes, int(np.argmax(found.values))
    info, named = result.metric, task.row.target is not None or task.asked.target is not None
    assert info.target is not None
    return {
        "metric": info.name,
        "target": info.target.token,
        "target_id": info.target.id,
        "foil": info.against.token if info.against else None,
        "answer": axis.labels[taken],
        "right": taken == info.target.id if named else None,
    }


def _about(task: _Task, request: SweepRequest) -> dict[str, Any]:
    assert task.metric is not None
    row, metric = task.row, task.metric
    named = row.target is not None or request.metric.target is not None
    top = int(metric.clean_logits.argmax())
    info = metric.info
    return {
        "metric": info.name,
        "target": info.target.token if info.target else None,
        "target_id": info.target.id if info.target else None,
        "foil": info.against.token if info.against else None,
        "position": info.position,
        "answer": logit_name(task.lm, top),
        "right": top == metric.target_id if named and metric.target_id >= 0 else None,
        "text": task.prompt.text,
        "roles": _roles(task, metric, request.align),
        "border": task.prompt.border,
        "columns": row.kept,
    }
