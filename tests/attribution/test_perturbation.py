"""Occlusion and Shapley values: sums, closed forms, and captum's numbers."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, ShapleyValues

from interpboard import open_model
from interpboard.attribution import PerturbationAttributor, baselines
from interpboard.attribution import shapley as shapley_module
from interpboard.attribution.integrated_gradients import integrated_gradients
from interpboard.attribution.occlusion import occlusion
from interpboard.attribution.shapley import shapley
from interpboard.errors import BadParameter, Cancelled
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.watch import Watch
from tests.lm import TEXT, case, fingerprint

BOTH = pytest.mark.parametrize("family", ["gpt2", "llama"])
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
CLOSE = {torch.float32: {"rtol": 1e-4, "atol": 1e-4}, torch.float64: {"rtol": 1e-8, "atol": 1e-8}}
METHODS = [(occlusion, {}), (occlusion, {"window": 3}), (shapley, {"samples": 2})]


def of_ids(lm: LanguageModel, metric: Metric) -> Any:
    """The metric as captum wants it: a function of token ids."""

    def forward(ids: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            logits = lm.model(input_ids=ids.long()).logits[:, metric.info.position]
        return metric.of(logits)

    return forward


@BOTH
@DTYPES
def test_captum_agrees_where_a_token_stands_in(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype, name="logprob")
    (the,) = lm.tokenizer(" the")["input_ids"]
    expected = FeatureAblation(of_ids(lm, metric)).attribute(input_ids(lm, prompt), baselines=the)
    ours = occlusion(lm, prompt, metric, baseline="text", baseline_text=" the")
    np.testing.assert_allclose(ours.values, expected[0].numpy(), **CLOSE[dtype])


@BOTH
def test_windows_are_taken_away_together_and_a_token_has_the_mean_of_its_own(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64)
    length = len(prompt.token_ids)
    wide = occlusion(lm, prompt, metric, window=3, baseline="mean")
    losses = wide.extra["window"].values
    assert losses.shape == (length - 2,)
    assert wide.values[0] == losses[0]
    assert wide.values[4] == pytest.approx(losses[2:5].mean())
    whole = occlusion(lm, prompt, metric, window=length)
    empty = shapley(lm, prompt, metric, samples=1).extra["baseline_metric"].values
    np.testing.assert_allclose(whole.values, metric.baseline - float(empty), rtol=1e-9)


@BOTH
@DTYPES
def test_nothing_taken_away_is_nothing_lost(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype)
    same = {"baseline": "text", "baseline_text": prompt.text}
    np.testing.assert_allclose(occlusion(lm, prompt, metric, **same).values, 0, **CLOSE[dtype])
    np.testing.assert_allclose(shapley(lm, prompt, metric, **same).values, 0, **CLOSE[dtype])


@BOTH
def test_later_tokens_have_exactly_nothing(family: str) -> None:
    lm, prompt, metric = case(family, position=4)
    assert np.abs(occlusion(lm, prompt, metric).values[5:]).max() == 0
    assert np.abs(shapley(lm, prompt, metric, samples=3).values[5:]).max() == 0


@BOTH
@DTYPES
@pytest.mark.parametrize("samples", [1, 5])
def test_shapley_values_sum_to_the_metrics_change(
    family: str, dtype: torch.dtype, samples: int
) -> None:
    lm, prompt, metric = case(family, dtype, name="logprob")
    found = shapley(lm, prompt, metric, samples=samples, baseline="mean")
    change = metric.baseline - float(found.extra["baseline_metric"].values)
    assert found.values.sum() == pytest.approx(change, rel=1e-5)


@BOTH
def test_a_text_that_stands_in_does_so_token_by_token_also_in_small_portions(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompt, metric = case(family, torch.float64)
    other = [(token + 7) % 300 for token in prompt.token_ids]
    monkeypatch.setattr(baselines, "_text", lambda *_args: tuple(other))
    options = {"baseline": "text", "baseline_text": "as long"}
    found = occlusion(lm, prompt, metric, window=3, **options).extra["window"].values
    rows = torch.tensor([prompt.token_ids] * len(found))
    for at, row in enumerate(rows):
        row[at : at + 3] = torch.tensor(other[at : at + 3])
    by_hand = metric.baseline - of_ids(lm, metric)(rows).numpy()
    np.testing.assert_allclose(found, by_hand, **CLOSE[torch.float64])
    at_once = shapley(lm, prompt, metric, samples=3, **options)
    bare = of_ids(lm, metric)(torch.tensor([other])).item()
    assert float(at_once.extra["baseline_metric"].values) == pytest.approx(bare, abs=1e-8)
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(shapley_module, "_POSITIONS", 4 * len(prompt.token_ids))
    watch = Watch(lambda done, total, _partial: told.append((done, total)))
    in_portions = shapley(lm, prompt, metric, samples=3, **options, watch=watch)
    np.testing.assert_allclose(in_portions.values, at_once.values, atol=1e-10)
    done, totals = zip(*told, strict=True)
    assert list(done) == sorted(done)
    assert set(totals) == {done[-1]}, "one job, whatever its portions"


def test_few_tokens_in_all_orders_give_captums_exact_values() -> None:
    lm, _, _ = case("gpt2", torch.float64)
    prompt = make_prompt(lm, "The Eiffel Tower is")
    assert len(prompt.token_ids) == 4
    metric = resolve_metric(lm, prompt, MetricRequest("logprob"))
    (the,) = lm.tokenizer(" the")["input_ids"]
    exact = ShapleyValues(of_ids(lm, metric)).attribute(input_ids(lm, prompt), baselines=the)[0]
    there = {"baseline": "text", "baseline_text": " the"}
    found = shapley(lm, prompt, metric, samples=2000, **there)
    error = found.extra["standard_error"].values
    assert (np.abs(found.values - exact.numpy()) < 5 * error + 1e-12).all()
    assert error.max() < 0.1 * np.abs(exact.numpy()).max()
    by_hand = _exact(lm, prompt, metric, the)
    np.testing.assert_allclose(exact.numpy(), by_hand, atol=1e-5)


def _exact(lm: LanguageModel, prompt: PromptInfo, metric: Metric, instead: int) -> np.ndarray:
    """Shapley's formula over all subsets."""
    n = len(prompt.token_ids)
    subsets = [s for size in range(n + 1) for s in itertools.combinations(range(n), size)]
    rows = [[t if i in s else instead for i, t in enumerate(prompt.token_ids)] for s in subsets]
    worth = dict(zip(subsets, of_ids(lm, metric)(torch.tensor(rows)).tolist(), strict=True))
    values = np.zeros(n)
    for s in subsets:
        for i in set(range(n)) - set(s):
            weight = math.factorial(len(s)) * math.factorial(n - len(s) - 1) / math.factorial(n)
            values[i] += weight * (worth[tuple(sorted((*s, i)))] - worth[s])
    return values


def test_samples_are_seeded_and_the_error_shrinks_with_them() -> None:
    lm, prompt, metric = case("llama", torch.float64)
    few, again, other = (shapley(lm, prompt, metric, samples=4, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(few.values, again.values)
    assert np.abs(few.values - other.values).max() > 0
    many = shapley(lm, prompt, metric, samples=64)
    assert (
        many.extra["standard_error"].values.mean() < few.extra["standard_error"].values.mean() / 2
    )


def test_on_the_demo_model_the_weight_is_on_the_subject() -> None:
    # What speaks for Paris and not for another city, against a token that says nothing.
    lm = open_model("demo", device="cpu", dtype="float32")
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest("logit_diff", " Paris", " Rome"))
    assert prompt.tokens[1:3] == (" Eiffel", " Tower")
    neutral = {"baseline": "text", "baseline_text": " the"}
    for found in (
        occlusion(lm, prompt, metric, **neutral),
        shapley(lm, prompt, metric, samples=32, **neutral),
        integrated_gradients(lm, prompt, metric, **neutral),
    ):
        subject, others = found.values[1:3], np.delete(found.values, (1, 2))
        assert found.values.argmax() == 1
        assert subject.min() > 0
        assert subject.sum() > 1.5 * others.max()
        assert subject.sum() > 0.4 * np.abs(found.values).sum()


def test_the_attributor_is_thin_over_the_functions() -> None:
    lm, prompt, metric = case("llama")
    with PerturbationAttributor(lm.model, lm.tokenizer) as attributor:
        for function, options in METHODS:
            found = getattr(attributor, function.__name__)(prompt.text, **options)
            expected = function(lm, prompt, metric, **options)
            np.testing.assert_allclose(found.values, expected.values, rtol=1e-5, atol=1e-6)
            assert found.analysis == function.__name__


@pytest.mark.parametrize(("function", "options"), METHODS)
def test_nothing_is_left_behind_also_after_a_cancel(function: Any, options: dict[str, Any]) -> None:
    lm, prompt, metric = case("llama")
    before = fingerprint(lm)
    function(lm, prompt, metric, **options)
    with pytest.raises(Cancelled):
        function(lm, prompt, metric, **options, watch=Watch(cancelled=lambda: True))
    assert fingerprint(lm) == before


def test_bad_options_are_refused_in_a_line() -> None:
    lm, prompt, metric = case()
    for function, options, said in (
        (occlusion, {"window": 0}, "1 to 9 tokens"),
        (occlusion, {"window": 10}, "1 to 9 tokens"),
        (occlusion, {"baseline": "x"}, "no baseline"),
        (shapley, {"samples": 0}, "at least one sample"),
    ):
        with pytest.raises(BadParameter, match=said):
            function(lm, prompt, metric, **options)
