"""Analyses by name on one prompt: what the command line, the engine and scripts call."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec.structs import replace

from interpboard import __version__
from interpboard.files.states import file_state
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import memory_named
from interpboard.registry import ANALYSES, Analysis, Overview, analyses_for, find_analysis
from interpboard.results import Chat, Document, MetricRequest, PromptInfo, Result
from interpboard.runs.analysis import metric_explained, refuse_beforehand
from interpboard.runs.chat import ChatMessages, prompt_of
from interpboard.runs.clean_runs import CleanRuns
from interpboard.runs.metrics import Metric, metric_for
from interpboard.runs.provenance import made_by
from interpboard.runs.shared import sharing
from interpboard.runs.strip_analyses import all_that_it_has
from interpboard.runs.watch import SILENT, Watch

_SMALLER = "Shorten the prompt, ask for less at a time, or use a smaller --dtype or another device."


def analyze(
    lm: LanguageModel,
    text: str | Chat | ChatMessages,
    analyses: Sequence[str] | None = None,
    metric: MetricRequest = MetricRequest(),  # noqa: B008 - frozen
    params: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    watch: Watch = SILENT,
    on_start: Callable[[str], None] | None = None,
) -> Document:
    """Run ``analyses`` (names of the registry) on ``text`` or a chat; one document with all results.

    A chat may be given as its messages, too.

    None: every analysis that the model has and that needs no more than it was given. ``params``: parameters
    by analysis name. Names and parameters are checked before anything runs. Raises the errors of
    ``interpboard.errors``, ``OutOfMemory`` whatever ran out of it; ``Cancelled`` if ``watch`` says so.
    """
    given = params or {}
    if analyses is None:
        named = {key for options in given.values() for key in options}
        analyses = analyses_for(named)
    if isinstance(analyses, Overview):
        analyses = all_that_it_has(lm, analyses)
    parsed = {name: find_analysis(name).parse(given.get(name, {})) for name in analyses}
    lm, prompt = prompt_of(lm, text)
    for name, options in parsed.items():
        refuse_beforehand(name, lm, prompt, options)
    runs = CleanRuns(lm, [s for name in parsed for s in ANALYSES[name].records_with(parsed[name])])
    with sharing(runs), memory_named("A run of the prompt", _SMALLER):
        resolved = metric_for(lm, prompt, metric, parsed)
    results: list[Result] = []
    for name, options in parsed.items():
        if on_start is not None:
            on_start(name)
        with sharing(runs), memory_named(f"The analysis {name}", _SMALLER):
            results.append(ANALYSES[name].load()(lm, prompt, resolved, watch=watch, **options))
    return Document(model=lm.info, prompt=prompt, results=tuple(results))


@dataclass(frozen=True)
class BegunAnalysis:
    """One analysis of one prompt, checked and about to run. ``params``: all of them; ``runs``: what
    is there of its clean run."""

    lm: LanguageModel
    prompt: PromptInfo
    metric: Metric
    analysis: Analysis
    params: Mapping[str, Any]
    runs: CleanRuns

    @property
    def nothing_yet(self) -> Result:
        """What the result will be, without values: what becomes of it where it is stopped."""
        name = self.analysis.name
        info, baseline = metric_explained(name, self.lm, self.prompt, self.metric, self.params)
        return Result(
            analysis=name,
            params={k: v for k, v in self.params.items() if v is not None and v != "" and v != ()},
            metric=info,
            baseline=baseline,
            axes=(),
            values=np.array(np.nan),
            extra={},
            elapsed_s=0.0,
            made_by=made_by(self.lm.verified.path, self.params.get("seed", 0)),
            warnings=self.metric.warnings,
        )

    @property
    def fingerprint(self) -> str:
        """Of all that cells depend on: model, weights, prompt, metric, parameters, and files they name. Which
        of a machine's GPUs it is on says nothing."""
        device, _, _ = self.lm.info.device.partition(":")
        files = [file_state(value) for value in self.params.values()]
        of = (
            __version__, replace(self.lm.info, device=device), self.lm.verified.path, self.prompt.token_ids,
            self.prompt.border, self.metric.info, self.analysis.name, sorted(self.params.items()), files,
        )  # fmt: skip
        return hashlib.blake2b(repr(of).encode(), digest_size=16).hexdigest()

    def run(self, watch: Watch) -> Result:
        """Compute it."""
        with (
            sharing(self.runs),
            memory_named(f"The analysis {self.analysis.name}", _SMALLER),
        ):
            result: Result = self.analysis.load()(
                self.lm, self.prompt, self.metric, watch=watch, **self.params
            )
        return result


def begin(
    lm: LanguageModel,
    text: str | Chat | ChatMessages,
    analysis: str,
    metric: MetricRequest,
    params: Mapping[str, Any],
    *,
    bare: bool = False,
    runs: CleanRuns | None = None,
) -> BegunAnalysis:
    """One analysis, its name and parameters checked, and the metric of the clean run measured.

    ``bare``: nothing is put around a text. ``runs``: of a request before, whose clean run may serve this one.
    """
    known = find_analysis(analysis)
    parsed = known.parse(params)
    lm, prompt = prompt_of(lm, text, bare=bare)
    sites = known.records_with(parsed)
    runs = CleanRuns(lm, sites) if runs is None else runs.going_on(lm, prompt, sites)
    refuse_beforehand(analysis, lm, prompt, parsed)
    with sharing(runs), memory_named("A run of the prompt", _SMALLER):
        resolved = metric_for(lm, prompt, metric, (analysis,))
    return BegunAnalysis(lm, prompt, resolved, known, parsed, runs)
