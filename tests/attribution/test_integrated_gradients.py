"""Integrated gradients: completeness, closed forms, and an independent implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerIntegratedGradients

from interpboard.attribution.baselines import baseline_embeddings
from interpboard.attribution.integrated_gradients import integrated_gradients
from interpboard.errors import BadParameter, Cancelled, Unsupported
from interpboard.runs.gradients import embeddings as embedding_gradient
from interpboard.runs.gradients.embeddings import metric_and_gradient, prompt_embeddings
from interpboard.runs.gradients.quadrature import QUADRATURE_RULES, quadrature
from interpboard.runs.prompt import input_ids
from interpboard.runs.watch import Watch
from tests.lm import case, fingerprint

BOTH = pytest.mark.parametrize("family", ["gpt2", "llama"])


@BOTH
def test_the_scores_sum_to_the_metrics_change_ever_better_with_more_steps(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64, name="logprob")
    errors = []
    for n_steps in (4, 16, 64, 256):
        result = integrated_gradients(lm, prompt, metric, n_steps=n_steps, baseline="mean")
        change = metric.baseline - float(result.extra["baseline_metric"].values)
        delta = float(result.extra["delta"].values)
        assert result.values.sum() - change == pytest.approx(delta, abs=1e-12)
        errors.append(abs(delta))
    assert errors[-1] < 1e-6 < errors[0]
    assert errors[-1] < max(errors[1], 1e-12)


@BOTH
def test_too_few_steps_carry_a_warning_and_enough_do_not(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64)
    few = integrated_gradients(lm, prompt, metric, n_steps=1, method="riemann_left")
    assert any("raise n_steps above 1" in warning for warning in few.warnings)
    enough = integrated_gradients(lm, prompt, metric, n_steps=256, baseline="mean")
    assert not enough.warnings


@BOTH
def test_the_gradient_is_that_of_finite_differences(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64, name="prob", position=4)
    embeddings = prompt_embeddings(lm, prompt)
    _, gradient = metric_and_gradient(lm, prompt, metric, embeddings[None])
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        direction = torch.randn(embeddings.shape, generator=generator, dtype=torch.float64)
        # Norms work in float32 in some families: a smaller step would drown in it.
        size = 1e-3 if family == "llama" else 1e-5
        step = size * direction
        ends, _ = metric_and_gradient(
            lm, prompt, metric, torch.stack([embeddings + step, embeddings - step])
        )
        slope = float(ends[0] - ends[1]) / (2 * size)
        assert float((gradient[0] * direction).sum()) == pytest.approx(slope, rel=1e-3, abs=1e-6)
    assert gradient[0, 5:].abs().max() == 0  # later tokens cannot matter


@BOTH
def test_captum_agrees_on_the_same_path(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64)

    def forward(ids: torch.Tensor) -> torch.Tensor:
        return lm.model(input_ids=ids).logits[:, -1]

    # captum takes baselines as ids: the embedding of one token stands in for zero.
    ids = input_ids(lm, prompt)
    with torch.no_grad():
        weight = lm.anatomy.embedding.weight
        saved = weight[0].clone()
        weight[0] = 0
    try:
        expected = LayerIntegratedGradients(forward, lm.anatomy.embedding).attribute(
            ids,
            baselines=torch.zeros_like(ids),
            target=metric.target_id,
            n_steps=32,
            method="gausslegendre",
        )
        ours = integrated_gradients(lm, prompt, metric, n_steps=32)
    finally:
        with torch.no_grad():
            weight[0] = saved
    np.testing.assert_allclose(ours.values, expected[0].sum(-1).detach().numpy(), rtol=1e-7)


@pytest.mark.usefixtures("changed_on_purpose")
def test_where_the_metric_is_linear_one_step_is_exact_and_equals_gradient_times_input() -> None:
    lm, prompt, metric = case("gpt2", torch.float64)

    class Linear:
        differentiable = True
        tokens = None
        info = metric.info
        baseline = metric.baseline
        warnings = metric.warnings

        def of(self, logits: torch.Tensor) -> torch.Tensor:
            # Along one direction of the logits at the prompt the metric is its own tangent.
            return logits @ torch.linspace(-1, 1, logits.shape[-1], dtype=logits.dtype)

    # A model with one linear map from embeddings to logits.
    model = lm.model
    saved = [module.forward for module in (*model.transformer.h, model.transformer.ln_f)]
    for module in (*model.transformer.h, model.transformer.ln_f):
        module.forward = lambda x, *_a, **_k: x
    try:
        embeddings = prompt_embeddings(lm, prompt)
        _, gradient = metric_and_gradient(lm, prompt, Linear(), embeddings[None])
        result = integrated_gradients(lm, prompt, Linear(), n_steps=1)
    finally:
        for module, _ in zip((*model.transformer.h, model.transformer.ln_f), saved, strict=True):
            del module.forward
    np.testing.assert_allclose(result.values, (gradient[0] * embeddings).sum(-1).numpy())
    assert abs(float(result.extra["delta"].values)) < 1e-9


def test_float32_agrees_with_float64() -> None:
    exact = integrated_gradients(*case("llama", torch.float64), n_steps=16)
    single = integrated_gradients(*case("llama", torch.float32), n_steps=16)
    np.testing.assert_allclose(single.values, exact.values, rtol=1e-2, atol=1e-3)


def test_parameters_gradients_and_hooks_are_as_before_also_after_a_cancel() -> None:
    lm, prompt, metric = case()
    before = fingerprint(lm)
    integrated_gradients(lm, prompt, metric)
    with pytest.raises(Cancelled):
        integrated_gradients(lm, prompt, metric, watch=Watch(cancelled=lambda: True))
    assert fingerprint(lm) == before
    assert all(parameter.grad is None for parameter in lm.model.parameters())


@pytest.mark.parametrize("method", QUADRATURE_RULES)
@pytest.mark.parametrize("n_steps", [2, 3, 10])
def test_quadrature_weights_sum_to_one_and_integrate_what_they_promise(
    method: str, n_steps: int
) -> None:
    points, weights = quadrature(method, n_steps)
    assert len(points) == len(weights) == n_steps
    assert weights.sum() == pytest.approx(1)
    degree = {"gauss_legendre": 2 * n_steps - 1, "trapezoid": 1}.get(method, 0)
    for power in range(degree + 1):
        assert weights @ points**power == pytest.approx(1 / (power + 1))


def test_bad_steps_methods_and_metrics_are_refused() -> None:
    with pytest.raises(BadParameter, match="too few"):
        quadrature("trapezoid", 1)
    with pytest.raises(BadParameter, match="simpson"):
        quadrature("simpson", 3)
    with pytest.raises(Unsupported, match="rank"):
        integrated_gradients(*case(name="rank"))


@BOTH
def test_auto_doubles_until_the_scores_are_complete(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64)
    result = integrated_gradients(lm, prompt, metric, n_steps="auto", baseline="mean")
    steps = int(result.extra["n_steps"].values)
    again = integrated_gradients(lm, prompt, metric, n_steps=steps, baseline="mean")
    np.testing.assert_array_equal(result.values, again.values)
    assert not result.warnings
    if steps > 8:
        fewer = integrated_gradients(lm, prompt, metric, n_steps=steps // 2, baseline="mean")
        assert f"raise n_steps above {steps // 2} (auto finds" in fewer.warnings[0]


def test_the_advice_costs_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, prompt, metric = case("llama")
    seen = []

    def counted(*args: Any, **options: Any) -> Any:
        seen.append(len(args[3]))
        return metric_and_gradient(*args, **options)

    monkeypatch.setattr(embedding_gradient, "metric_and_gradient", counted)
    few = integrated_gradients(lm, prompt, metric, n_steps=2, method="riemann_left")
    assert few.warnings
    assert sum(seen) == 2


def test_the_prompt_itself_as_baseline_changes_nothing() -> None:
    lm, prompt, metric = case("llama", torch.float64)
    result = integrated_gradients(lm, prompt, metric, baseline="text", baseline_text=prompt.text)
    assert not result.values.any()
    assert float(result.extra["baseline_metric"].values) == pytest.approx(metric.baseline)


@BOTH
def test_one_token_as_baseline_stands_at_every_position_and_shared_tokens_score_zero(
    family: str,
) -> None:
    lm, prompt, metric = case(family, torch.float64)
    token = " of"
    result = integrated_gradients(lm, prompt, metric, baseline="text", baseline_text=token)
    same = np.array([each == token for each in prompt.tokens])
    assert same.any()
    assert not result.values[same].any()
    assert result.values[~same].all()
    weight = lm.anatomy.embedding.weight
    start = baseline_embeddings(lm, prompt, "text", token)
    for row in start:
        assert torch.equal(row, weight[prompt.token_ids[int(same.argmax())]])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"baseline": "pad"}, "no pad token"),
        ({"baseline": "text"}, "needs baseline_text"),
        ({"baseline": "text", "baseline_text": "The Eiffel Tower"}, "as many as the prompt"),
        ({"baseline": "ones"}, "no baseline 'ones'"),
        ({"baseline_text": "a"}, "the baseline is zero"),
        ({"n_steps": "many"}, "whole number or auto"),
    ],
)
def test_a_baseline_that_is_none_is_refused(options: dict[str, str], complaint: str) -> None:
    with pytest.raises(BadParameter, match=complaint):
        integrated_gradients(*case(), **options)


def test_the_batch_does_not_change_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, prompt, metric = case("llama", torch.float64)
    together = integrated_gradients(lm, prompt, metric)
    monkeypatch.setattr(embedding_gradient, "rows_of_a_backward_pass", lambda _lm, _length: 3)
    np.testing.assert_allclose(
        integrated_gradients(lm, prompt, metric).values, together.values, rtol=1e-6
    )
