"""Saliency and gradient times input: finite differences, closed forms, captum, nothing left behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerGradientXActivation

from interpboard.attribution.grad_x_input import grad_x_input
from interpboard.attribution.gradients import GradientAttributor
from interpboard.attribution.lrp import lrp
from interpboard.attribution.saliency import saliency
from interpboard.errors import BadParameter, Unsupported
from interpboard.results import MetricRequest
from interpboard.runs.gradients.embeddings import metric_and_gradient, prompt_embeddings
from interpboard.runs.prompt import input_ids
from tests.lm import TEXT, case, fingerprint

BOTH = pytest.mark.parametrize("family", ["gpt2", "llama"])


@BOTH
def test_saliency_is_the_steepest_finite_difference_of_each_token(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64, name="logit_diff", target="s", foil="t")
    scores = saliency(lm, prompt, metric).values
    inputs = prompt_embeddings(lm, prompt)
    gradient = metric_and_gradient(lm, prompt, metric, inputs[None])[1][0]
    size = 1e-3 if family == "llama" else 1e-5  # llama's norms work in float32
    for token in (0, len(prompt.tokens) - 1):
        step = torch.zeros_like(inputs)
        step[token] = size * gradient[token] / gradient[token].norm()
        ends, _ = metric_and_gradient(
            lm, prompt, metric, torch.stack([inputs + step, inputs - step])
        )
        assert scores[token] == pytest.approx(float(ends[0] - ends[1]) / (2 * size), rel=1e-3)


@BOTH
def test_the_signed_sum_is_the_slope_along_all_dimensions(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64)
    inputs = prompt_embeddings(lm, prompt)
    step = torch.zeros_like(inputs)
    step[1] = 1e-3 if family == "llama" else 1e-5
    ends, _ = metric_and_gradient(lm, prompt, metric, torch.stack([inputs + step, inputs - step]))
    slope = float(ends[0] - ends[1]) / (2 * float(step[1, 0]))
    signed = saliency(lm, prompt, metric, norm="sum").values
    # A layer norm does not see a shift of all dimensions at once: 0 on gpt2.
    assert signed[1] == pytest.approx(slope, rel=1e-3, abs=1e-6)
    l1, l2 = (saliency(lm, prompt, metric, norm=norm).values for norm in ("l1", "l2"))
    assert (np.abs(signed) <= l1 + 1e-12).all()
    assert (l2 <= l1).all()
    assert (l1 <= l2 * lm.anatomy.d_model**0.5 + 1e-12).all()


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradient_times_input_is_captums(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype, position=5)

    def forward(ids: torch.Tensor) -> torch.Tensor:
        return lm.model(input_ids=ids).logits[:, 5]

    expected = LayerGradientXActivation(forward, lm.anatomy.embedding).attribute(
        input_ids(lm, prompt), target=metric.target_id
    )[0]
    ours = grad_x_input(lm, prompt, metric, per_dimension=True)
    near = {"rtol": 1e-3, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-6, "atol": 1e-8}
    per_dimension = ours.extra["per_dimension"].values
    np.testing.assert_allclose(per_dimension, expected.detach().numpy(), **near)
    np.testing.assert_allclose(ours.values, per_dimension.sum(-1), rtol=1e-4, atol=1e-5)
    assert not ours.values[6:].any()  # later tokens cannot matter


def test_float32_agrees_with_float64() -> None:
    for method in (saliency, grad_x_input):
        exact, single = (method(*case("llama", d)).values for d in (torch.float64, torch.float32))
        np.testing.assert_allclose(single, exact, rtol=1e-3, atol=1e-3)


def test_parameters_and_hooks_are_as_before() -> None:
    lm, prompt, metric = case()
    before = fingerprint(lm)
    saliency(lm, prompt, metric)
    grad_x_input(lm, prompt, metric)
    with pytest.raises(Unsupported, match="rank"):
        saliency(*case(name="rank"))
    with pytest.raises(BadParameter, match="l3"):
        saliency(lm, prompt, metric, norm="l3")
    assert fingerprint(lm) == before
    assert all(parameter.grad is None for parameter in lm.model.parameters())


def test_the_class_gives_what_the_functions_give() -> None:
    lm, prompt, metric = case(name="prob", position=4)
    request = MetricRequest("prob", position=4)
    with GradientAttributor(lm.model, lm.tokenizer) as attributor:
        for name, function in (("saliency", saliency), ("grad_x_input", grad_x_input)):
            result = getattr(attributor, name)(TEXT, metric=request)
            np.testing.assert_array_equal(result.values, function(lm, prompt, metric).values)


@pytest.mark.parametrize("method", [saliency, grad_x_input, lrp])
def test_a_metric_at_its_least_on_the_clean_prompt_is_refused(method: Any) -> None:
    lm, prompt, metric = case(name="kl")
    with pytest.raises(Unsupported, match="kl has no slope at the clean prompt"):
        method(lm, prompt, metric)
