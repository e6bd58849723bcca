"""An analysis of several prompts at once, where only its values are kept.

An analysis may name, in its row of the registry (``over_rows``), a function that gives, for prompts that were
run together, what it gives for each of them: the same values, without what a sweep does not keep. It gives
None where the prompts cannot be taken together; then, and where it raises, each is asked by itself.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from interpboard.models.attention_backends import any_shape
from interpboard.registry import ANALYSES
from interpboard.results import PromptInfo, Result
from interpboard.runs.analysis import Computed, result_of
from interpboard.runs.metrics import Metric
from interpboard.runs.strip_places import with_layer_numbers
from interpboard.runs.together import Together
from interpboard.runs.watch import Watch


class OverRows(Protocol):
    """What an analysis computes for ``prompts`` of ``shared``, one length all, with its own parameters."""

    def __call__(
        self,
        shared: Together,
        prompts: Sequence[PromptInfo],
        metrics: Sequence[Metric],
        params: Mapping[str, Any],
        watch: Watch,
    ) -> list[Computed] | None: ...


def results_over_rows(
    name: str,
    shared: Together,
    prompts: Sequence[PromptInfo],
    metrics: Sequence[Metric],
    params: Mapping[str, Any],
    watch: Watch,
) -> list[Result] | None:
    """The result of each of ``prompts``, ``extra`` left out; None where there is none for all of them.

    ``params``: as they were parsed. Raises what the analysis raises for one of them.
    """
    place = ANALYSES[name].over_rows
    if not place or len(prompts) < 2:
        return None
    module, _, function = place.partition(":")
    computes: OverRows = getattr(importlib.import_module(module), function)
    started = time.perf_counter()
    numbered = {**params, **with_layer_numbers(shared.lm, params)}
    with any_shape(shared.lm.device):
        found = computes(shared, prompts, metrics, numbered, watch)
    if found is None:
        return None
    a_row = (time.perf_counter() - started) / len(prompts)
    return [
        result_of(
            name, computed, {**params, "lm": shared.lm, "prompt": prompt, "metric": metric}, a_row
        )
        for prompt, metric, computed in zip(prompts, metrics, found, strict=True)
    ]
