"""What is around every analysis is the same whoever calls it: by name, or as a function of Python."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from interpboard.analyze import analyze
from interpboard.attribution.compare import compare_attributions
from interpboard.attribution.occlusion import occlusion
from interpboard.attribution.shapley import shapley
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.interventions.steering import steering
from interpboard.registry import ANALYSES
from interpboard.results import Axis, MetricRequest, PromptInfo, Result
from interpboard.runs.analysis import Computed, analysis
from interpboard.runs.finite import count_not_finite
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.watch import SILENT, Watch
from tests.lm import TEXT, case, tiny_lm
from tests.overflow import TOO_MUCH, overflowing_lm


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_has_it(name: str) -> None:
    function = ANALYSES[name].load()
    assert function.__annotations__["return"] == "Result"
    assert inspect.signature(inspect.unwrap(function)).return_annotation == "Computed"


@pytest.mark.parametrize("function", [occlusion, shapley])
def test_a_function_called_directly_warns_of_edited_runs_that_overflow(function: Any) -> None:
    lm = overflowing_lm()
    prompt = make_prompt(lm, "The city of of")
    metric = resolve_metric(lm, prompt, MetricRequest())
    result = function(lm, prompt, metric, baseline="text", baseline_text=TOO_MUCH)
    words = " ".join(result.warnings)
    assert "not finite, and what rests on them has no value: float16" in words
    assert f"values {np.isnan(result.values).sum()} of 4" in words


def test_a_steered_row_that_overflows_is_warned_of_without_analyze() -> None:
    lm, prompt, metric = case("gpt2")
    result = steering(lm, prompt, metric, positive="The", negative="city", scales=(1e30,))
    assert "1 edited run is not finite" in " ".join(result.warnings)


@pytest.mark.parametrize("function", [head_ablation, occlusion, compare_attributions])
def test_a_foil_that_is_not_used_is_warned_of_once_without_analyze(function: Any) -> None:
    lm = tiny_lm()
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest("prob", foil="!"))
    result = function(lm, prompt, metric)
    assert [words for words in result.warnings if "foil" in words] == [
        "The foil ! is not used by the metric prob; logit_diff uses it."
    ]


def test_by_name_and_as_a_function_the_result_is_the_same() -> None:
    lm, prompt, metric = case("gpt2")
    (named,) = analyze(
        lm, TEXT, ("head_ablation",), params={"head_ablation": {"heads": "1"}}
    ).results
    own = head_ablation(lm, prompt, metric, heads=(1,))
    same = {"values": None, "extra": None, "elapsed_s": 0.0}
    assert _fields(named, same) == _fields(own, same)
    assert own.params["heads"] == [1]


def _fields(result: Result, besides: dict[str, Any]) -> dict[str, Any]:
    return {key: getattr(result, key) for key in result.__struct_fields__ if key not in besides}


@analysis("inner")
def inner(lm: Any, prompt: PromptInfo, metric: Metric, *, watch: Watch = SILENT) -> Computed:
    count_not_finite(2)
    return Computed(np.array([np.nan, 1.0]), (Axis("rank", ("1", "2")),))


@analysis("outer", path="forward")
def outer(
    lm: Any,
    prompt: PromptInfo,
    metric: Metric,
    *,
    size: int = 3,
    seed: int = 7,
    watch: Watch = SILENT,
) -> Computed:
    within = inner(lm, prompt, metric)
    assert within.warnings == ()
    return Computed(within.values, within.axes, params={"size": 4}, unused=("seed",), baseline=None)


def test_what_is_lost_within_an_analysis_is_said_once_by_the_one_that_was_asked() -> None:
    lm, prompt, metric = case("gpt2")
    result = outer(lm, prompt, metric)
    runs, values = result.warnings
    assert runs.startswith("2 edited runs are not finite")
    assert values == "Values that are not numbers: values 1 of 2."
    assert (result.analysis, result.params) == ("outer", {"size": 4})
    assert (result.made_by.path, result.made_by.seed) == ("forward", 7)
    assert result.baseline is None
    alone = inner(lm, prompt, metric)
    assert alone.warnings == result.warnings
    assert alone.baseline == metric.baseline
    assert alone.made_by.path == lm.verified.path
