"""Analyses by name on one prompt: what the command line, the engine and scripts call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from interpboard.display import visible_token
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import memory_named
from interpboard.registry import ANALYSES, Analysis, analyses_for, find_analysis
from interpboard.results import Document, MetricRequest, PromptInfo, Result
from interpboard.results.gaps import gaps_said
from interpboard.runs.finite import counting, remedy
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.watch import SILENT, Watch

_SMALLER = "Shorten the prompt, ask for less at a time, or use a smaller --dtype or another device."


def analyze(
    lm: LanguageModel,
    text: str,
    analyses: Sequence[str] | None = None,
    metric: MetricRequest = MetricRequest(),  # noqa: B008 - frozen
    params: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    watch: Watch = SILENT,
    on_start: Callable[[str], None] | None = None,
) -> Document:
    """Run ``analyses`` (names of the registry) on ``text``; one document with all results.

    None: every analysis that needs no more than it was given. ``params``: parameters by analysis
    name. Names and parameters are checked before anything runs. A result with values that are not
    numbers, where its method does not leave any out, says so in a warning. Raises the errors of
    ``interpboard.errors``, ``OutOfMemory`` whatever ran out of it; ``Cancelled`` if ``watch`` says so.
    """
    given = params or {}
    if analyses is None:
        named = {key for own in given.values() for key in own}
        analyses = analyses_for(named)
    parsed = {name: find_analysis(name).parse(given.get(name, {})) for name in analyses}
    prompt = make_prompt(lm, text)
    with memory_named("A run of the prompt", _SMALLER):
        resolved = resolve_metric(lm, prompt, metric)
    results = []
    for name, own in parsed.items():
        if on_start is not None:
            on_start(name)
        result = _result(ANALYSES[name], lm, prompt, resolved, own, watch)
        warnings = (*result.warnings, *unused_foil(metric))
        results.append(msgspec.structs.replace(result, warnings=warnings))
    return Document(model=lm.info, prompt=prompt, results=tuple(results))


def _result(
    analysis: Analysis,
    lm: LanguageModel,
    prompt: PromptInfo,
    metric: Metric,
    params: Mapping[str, Any],
    watch: Watch,
) -> Result:
    with memory_named(f"The analysis {analysis.name}", _SMALLER), counting() as lost:
        result: Result = analysis.load()(lm, prompt, metric, watch=watch, **params)
    return gaps_said(result, analysis.gaps, sum(lost), f"{lm.info.dtype}. {remedy(lm)}")


def unused_foil(request: MetricRequest) -> tuple[str, ...]:
    """A warning if a foil was named for a metric that does not compare with one."""
    if request.foil is None or request.name == "logit_diff":
        return ()
    foil = visible_token(request.foil)
    return (f"The foil {foil} is not used by the metric {request.name}; logit_diff uses it.",)


def run_one(
    lm: LanguageModel,
    text: str,
    analysis: str,
    metric: MetricRequest,
    params: Mapping[str, Any],
    watch: Watch,
) -> tuple[PromptInfo, Result]:
    """One analysis: the prompt as the model saw it, and the result."""
    document = analyze(lm, text, (analysis,), metric, {analysis: params}, watch=watch)
    return document.prompt, document.results[0]
