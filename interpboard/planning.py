"""What analyses would take, without running them to the end: ``Plan`` for each.

Each is rehearsed: its own code runs, but of the long loops only a few steps are taken and the others are
counted and priced (``runs.rehearsal``). What has no such loop is run until it is done, or for a few
seconds, and the rest is what it said was left. Nothing is written.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from interpboard.analyze import analyze
from interpboard.display import spoken_seconds
from interpboard.errors import Cancelled
from interpboard.models.language_model import LanguageModel
from interpboard.models.memory import peak_memory
from interpboard.registry import Overview, analyses_for, find_analysis
from interpboard.results import Chat, LabelledArray, MetricRequest, PromptInfo
from interpboard.results.plan import Plan
from interpboard.runs.chat import prompt_of
from interpboard.runs.rehearsal import Rehearsal, rehearsing
from interpboard.runs.strip_analyses import all_that_it_has
from interpboard.runs.strip_places import source_layers
from interpboard.runs.watch import SILENT, Watch

LONGEST_S = 3.0
"""How long something without rows runs before what is left of it is reckoned."""


def plan(
    lm: LanguageModel,
    text: str | Chat,
    analyses: Sequence[str] | None = None,
    metric: MetricRequest = MetricRequest(),  # noqa: B008 - frozen
    params: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    watch: Watch = SILENT,
) -> tuple[Plan, ...]:
    """The plan of each of ``analyses`` on ``text``; all as for ``analyze``.

    Raises what the analyses themselves raise for what was asked for, ``Unaffordable`` among it.
    """
    given = params or {}
    if analyses is None:
        analyses = analyses_for({key for own in given.values() for key in own})
    if isinstance(analyses, Overview):
        analyses = all_that_it_has(lm, analyses)
    for name in analyses:
        find_analysis(name).parse(given.get(name, {}))
    prompt = prompt_of(lm, text)[1]
    plans = []
    for number, name in enumerate(analyses):
        watch.step(number, len(analyses))
        plans.append(_planned(lm, text, name, metric, dict(given.get(name, {})), prompt, watch))
    watch.step(len(analyses), len(analyses))
    return tuple(plans)


def _planned(
    lm: LanguageModel,
    text: str | Chat,
    name: str,
    metric: MetricRequest,
    params: dict[str, Any],
    prompt: PromptInfo,
    watch: Watch,
) -> Plan:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for parameter in find_analysis(name).parameters:
            if parameter.written and params.get(parameter.name):
                params[parameter.name] = str(folder / Path(params[parameter.name]).name)
        rehearsal = stack.enter_context(rehearsing())
        passes = rehearsal.passes = stack.enter_context(counted_passes(lm, prompt))
        peak = stack.enter_context(peak_memory(lm.device))
        progress = _Progress(rehearsal, watch, passes)
        started = time.perf_counter()
        try:
            analyze(lm, text, (name,), metric, {name: params}, watch=progress.watch)
        except Cancelled:
            watch.check()
        took = time.perf_counter() - started
    left_passes, left_s = progress.left()
    return Plan(
        analysis=name,
        tokens=len(prompt.token_ids),
        rows=rehearsal.rows,
        forward_passes=round(passes[0] + left_passes + rehearsal.left_out_passes, 1),
        bytes_peak=peak.above,
        seconds=took + left_s + rehearsal.left_out_s,
        because=_because(rehearsal, took, progress.ended),
    )


class _Progress:
    """Hears how far the analysis is, and ends one that has no rows after ``LONGEST_S``.

    What is left is reckoned from the steps between the first that was done and the last: what came before
    the first, the run of the prompt mostly, is not done again.
    """

    def __init__(self, rehearsal: Rehearsal, outer: Watch, passes: list[float]) -> None:
        self.rehearsal, self.outer, self.passes = rehearsal, outer, passes
        self.began = time.perf_counter()
        self.done, self.total = 0, 0
        self._first: tuple[int, float, float] | None = None  # done, passes, time
        self._last = (0, 0.0, 0.0)
        self.ended = False
        self.watch = Watch(self._hear, self._over)

    def left(self) -> tuple[float, float]:
        """Forward passes and seconds of what was not run: none unless it was ended early."""
        if not self.ended or self._first is None:
            return 0.0, 0.0
        steps, passes, seconds = (
            last - first for last, first in zip(self._last, self._first, strict=True)
        )
        times = (self.total - self.done) / steps
        return passes * times, seconds * times

    def _hear(self, done: int, total: int, _partial: LabelledArray | None) -> None:
        self.done, self.total = done, total
        self._last = (done, self.passes[0], time.perf_counter())
        if self._first is None and done > 0:
            self._first = self._last

    def _over(self) -> bool:
        self.outer.check()
        late = time.perf_counter() - self.began > LONGEST_S
        timed = self._first is not None and self.done > self._first[0]
        if late and timed and self.done < self.total and not self.rehearsal.rows:
            self.ended = True
        return self.ended


@contextmanager
def counted_passes(lm: LanguageModel, prompt: PromptInfo) -> Iterator[list[float]]:
    """While open, counts in [0] the forward passes of ``prompt`` that layers were run for.

    When a layer has run, not when it is called: inputs of the first one are made by a call that ends there.
    Of an encoder–decoder a pass is the source through the encoder and the prefix through the decoder, whose
    layers are one module each, self- and cross attention together.
    """
    counted = [0.0]
    layers = list(dict.fromkeys(lm.anatomy.layers))
    tokens, of_source = len(prompt.token_ids), source_layers(lm)
    share = 1 / (of_source * prompt.border + (len(layers) - of_source) * (tokens - prompt.border))

    def hook(
        _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], _output: Any
    ) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        counted[0] += hidden.shape[0] * hidden.shape[1] * share

    with ExitStack() as stack:
        for layer in layers:
            handle = layer.register_forward_hook(hook, with_kwargs=True)
            stack.callback(handle.remove)
        yield counted


def _because(rehearsal: Rehearsal, took: float, ended: bool) -> str:
    if rehearsal.left_out:
        timed = rehearsal.rows - rehearsal.left_out
        rows = " and ".join(f"{count:,} {what}" for what, count in rehearsal.kinds.items())
        return f"{rows}, {timed:,} of them timed"
    if ended:
        return f"{spoken_seconds(took)} of it timed"
    return "run to the end to know it"
