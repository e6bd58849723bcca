"""What every analysis has around it: a clock, who made it, with which parameters, and what must be warned of.

An analysis computes, and returns ``Computed``; ``analysis`` makes the ``Result`` of it.
"""

from __future__ import annotations

import dataclasses
import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from types import EllipsisType
from typing import Any, ParamSpec

import numpy as np
from msgspec.structs import replace

from interpboard.models.attention_backends import any_shape
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import begin_allowance
from interpboard.registry import ANALYSES
from interpboard.results import Axis, LabelledArray, MetricInfo, PromptInfo, Result
from interpboard.results.gaps import gaps_said
from interpboard.results.intervals import ROUNDING_EXTRA
from interpboard.runs.chat_warnings import chat_warnings
from interpboard.runs.clean_rounding import clean_rounding
from interpboard.runs.finite import counting, is_counting, remedy
from interpboard.runs.metrics import Metric
from interpboard.runs.provenance import made_by
from interpboard.runs.room import refuse_a_pass_without_room
from interpboard.runs.strip_analyses import require_in_strips
from interpboard.runs.strip_places import with_layer_numbers

P = ParamSpec("P")
_OWN = ("lm", "prompt", "metric", "watch")  # what is no parameter of the registry


@dataclass(frozen=True)
class Computed:
    """What an analysis itself knows of its result.

    ``params``: those that were made definite (``auto``, a default that depends on the model), which stand in
    place of what was given. ``unused``: parameters that had no part in it, and are not named. ``metric``:
    where another than the prompt's was explained. ``baseline``: the clean run's metric; ``...`` that of the
    prompt's, None where there is no clean run.
    """

    values: np.ndarray
    axes: tuple[Axis, ...]
    extra: Mapping[str, LabelledArray] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    metric: MetricInfo | None = None
    baseline: float | EllipsisType | None = ...


Refusal = Callable[[LanguageModel, PromptInfo, Mapping[str, Any]], None]
Explains = Callable[
    [LanguageModel, PromptInfo, Metric, Mapping[str, Any]], tuple[MetricInfo, float]
]
_REFUSALS: dict[str, Refusal] = {}
_EXPLAINS: dict[str, Explains] = {}
_PATHS: dict[str, str] = {}
_NAMES: dict[Callable[..., Result], str] = {}


def refuse_beforehand(
    name: str, lm: LanguageModel, prompt: PromptInfo, params: Mapping[str, Any]
) -> None:
    """Raise what the analysis ``name`` raises for a prompt of this length, before anything is run."""
    ANALYSES[name].load()
    begin_allowance(lm.device)
    refuse_without_room(name, lm, prompt, params)  # first: the length it advises has room for all
    refuse_a_pass_without_room(lm, len(prompt.token_ids))


def refuse_without_room(
    name: str, lm: LanguageModel, prompt: PromptInfo, params: Mapping[str, Any]
) -> None:
    """Its own refusal (``analysis``), where it has one."""
    if name in _REFUSALS:
        _REFUSALS[name](lm, prompt, {**params, **with_layer_numbers(lm, params)})


def metric_explained(
    name: str, lm: LanguageModel, prompt: PromptInfo, metric: Metric, params: Mapping[str, Any]
) -> tuple[MetricInfo, float]:
    """The metric of the result of ``name``, and that of the clean run, before anything is known of it."""
    if name in _EXPLAINS:
        return _EXPLAINS[name](lm, prompt, metric, params)
    return metric.info, metric.baseline


def analysis(
    name: str,
    *,
    path: str = "",
    refuses: Refusal | None = None,
    explains: Explains | None = None,
) -> Callable[[Callable[P, Computed]], Callable[P, Result]]:
    """Makes ``function(lm, prompt, metric, *, <parameters>, watch)`` the analysis ``name`` of the registry.

    ``path``: see ``made_by``; empty: the one that was proved for the model. The result says with which
    parameters it was made, and warns of values that are not numbers where the method leaves none out, of
    what ``metric`` has to say, and of marks typed into a chat. ``refuses`` raises for what is too large, and
    is asked before the prompt is run (``refuse_beforehand``), which can take a minute. ``explains`` gives the
    metric and its clean value where another than the prompt's is explained. Within another
    analysis nothing is warned of: the outer one does.
    """

    def decorate(function: Callable[P, Computed]) -> Callable[P, Result]:
        _PATHS[name] = path
        if refuses is not None:
            _REFUSALS[name] = refuses
        if explains is not None:
            _EXPLAINS[name] = explains
        signature = inspect.signature(function)

        @wraps(function)
        def analysed(*args: P.args, **kwargs: P.kwargs) -> Result:
            started = time.perf_counter()
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            if given["lm"].anatomy.strips is not None:
                require_in_strips(name)
            kwargs.update(with_layer_numbers(given["lm"], given))
            if is_counting():
                return _result(name, path, function(*args, **kwargs), given, started)
            with counting() as lost, any_shape(given["lm"].device):
                computed = _with_rounding(name, function(*args, **kwargs), given)
            result = _result(name, path, computed, given, started)
            return _warned(result, given, sum(lost))

        _NAMES[analysed] = name
        analysed.__annotations__ = {**function.__annotations__, "return": "Result"}
        return analysed

    return decorate


def registered_name(function: Callable[..., Result]) -> str:
    """Of an analysis, in the registry."""
    return _NAMES[function]


def result_of(name: str, computed: Computed, given: Mapping[str, Any], seconds: float) -> Result:
    """The result of what was ``computed``, all of it finite, in so many ``seconds`` for one of several
    prompts: as that of one alone, with the same warnings. ``given``: what its function takes, by name."""
    ANALYSES[name].load()
    result = _result(name, _PATHS[name], computed, given, time.perf_counter() - seconds)
    return _warned(result, given, 0)


def _result(
    name: str, path: str, computed: Computed, given: Mapping[str, Any], started: float
) -> Result:
    lm, metric = given["lm"], given["metric"]
    left_out = {*_OWN, *computed.unused}
    params = {key: _plain(value) for key, value in given.items() if key not in left_out}
    return Result(
        analysis=name,
        params=params | dict(computed.params),
        metric=computed.metric or metric.info,
        baseline=metric.baseline if computed.baseline is ... else computed.baseline,
        axes=computed.axes,
        values=computed.values,
        extra=dict(computed.extra),
        elapsed_s=time.perf_counter() - started,
        made_by=made_by(path or lm.verified.path, given.get("seed", 0)),
        warnings=computed.warnings,
    )


def _with_rounding(name: str, computed: Computed, given: Mapping[str, Any]) -> Computed:
    """With ``extra["rounding"]``, where values are of the metrics of runs in 16 bits: how far rounding alone
    may put them from no effect."""
    known = ANALYSES.get(name)
    if known is None or not known.of_runs:
        return computed
    apart = clean_rounding(given["lm"], given["prompt"], given["metric"])
    span = 1.0
    if known.of_runs == "share":
        clean, corrupted = (float(computed.extra[end].values) for end in ("clean", "corrupted"))
        span = abs(clean - corrupted)
    if apart is None or not span:
        return computed
    rounding = LabelledArray((), np.array(apart / span))
    return dataclasses.replace(computed, extra={**computed.extra, ROUNDING_EXTRA: rounding})


def _warned(result: Result, given: Mapping[str, Any], lost: int) -> Result:
    lm, metric, prompt = given["lm"], given["metric"], given["prompt"]
    known = ANALYSES.get(result.analysis)
    gaps = known.gaps if known is not None else ()
    if lm.anatomy.strips is not None:  # cells of the other strip are empty, and are meant to be
        gaps = ("values", *result.extra)
    warned = gaps_said(result, gaps, lost, f"{lm.info.dtype}. {remedy(lm)}")
    more = (*metric.warnings, *chat_warnings(lm, prompt))
    return replace(warned, warnings=(*warned.warnings, *more)) if more else warned


def _plain(value: Any) -> Any:
    """A parameter as a saved result has it: of several values a list."""
    return list(value) if isinstance(value, (tuple, list, range)) else value
