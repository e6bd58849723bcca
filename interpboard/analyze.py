"""Analyses by name on one prompt: what the command line, the engine and scripts call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import memory_named
from interpboard.registry import ANALYSES, analyses_for, find_analysis
from interpboard.results import Document, MetricRequest, PromptInfo, Result
from interpboard.runs.metrics import resolve_metric
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
    name. Names and parameters are checked before anything runs. Raises the errors of
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
    results: list[Result] = []
    for name, own in parsed.items():
        if on_start is not None:
            on_start(name)
        with memory_named(f"The analysis {name}", _SMALLER):
            results.append(ANALYSES[name].load()(lm, prompt, resolved, watch=watch, **own))
    return Document(model=lm.info, prompt=prompt, results=tuple(results))


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
