"""The identities of attributions on the trained model that ships, in the float32 it runs in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from interpboard import open_model
from interpboard.attribution.attention_flow import attention_flow
from interpboard.attribution.attention_rollout import attention_rollout
from interpboard.attribution.grad_x_input import grad_x_input
from interpboard.attribution.integrated_gradients import integrated_gradients
from interpboard.attribution.lrp import lrp
from interpboard.attribution.shapley import shapley
from interpboard.results import MetricRequest
from interpboard.runs.gradients.embeddings import metric_of_embeddings, prompt_embeddings
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.lm import TEXT, fingerprint

Case = tuple[Any, Any, Any]


@pytest.fixture(scope="module")
def lm() -> Any:
    return open_model("demo", device="cpu", dtype="float32")


@pytest.fixture(params=["logit", "logit_diff"])
def demo(lm: Any, request: pytest.FixtureRequest) -> Iterator[Case]:
    before = fingerprint(lm)
    prompt = make_prompt(lm, TEXT)
    foil = " Rome" if request.param == "logit_diff" else None
    yield lm, prompt, resolve_metric(lm, prompt, MetricRequest(request.param, " Paris", foil))
    assert fingerprint(lm) == before  # no hook is left, no parameter changed


def test_integrated_gradients_become_complete_with_more_steps(demo: Case) -> None:
    errors = []
    for steps in (4, 16, 64):
        result = integrated_gradients(*demo, n_steps=steps)
        change = demo[2].baseline - float(result.extra["baseline_metric"].values)
        errors.append(abs(result.values.sum() - change))
        assert float(result.extra["delta"].values) == pytest.approx(
            result.values.sum() - change, abs=1e-4
        )
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-3 * abs(change)


def test_a_gradient_is_the_slope_of_the_metric(demo: Case) -> None:
    lm, prompt, metric = demo
    scores = grad_x_input(*demo).values
    embeddings = prompt_embeddings(lm, prompt)
    for token in (1, 4, 8):
        step = torch.zeros_like(embeddings)
        step[token] = 1e-2 * embeddings[token]
        up, down = (metric_of_embeddings(lm, prompt, metric, embeddings + s) for s in (step, -step))
        assert scores[token] == pytest.approx((up - down) / 2e-2, rel=0.02, abs=0.02)


def test_shapley_values_share_out_what_the_prompt_is_worth(demo: Case) -> None:
    result = shapley(*demo, samples=4)
    worth = demo[2].baseline - float(result.extra["baseline_metric"].values)
    assert result.values.sum() == pytest.approx(worth, abs=1e-3)


def test_relevance_says_what_it_does_not_explain(demo: Case) -> None:
    result = lrp(*demo)
    assert np.isfinite(result.values).all()
    assert float(result.extra["delta"].values) == pytest.approx(
        result.values.sum() - demo[2].baseline, abs=1e-3
    )


def test_rollouts_are_shares_and_flows_no_more_than_one(demo: Case) -> None:
    through = attention_rollout(*demo).extra["rollout"].values
    np.testing.assert_allclose(through.sum(-1), 1.0, rtol=1e-5)
    assert not np.triu(through, 1).any()  # nothing comes from later tokens
    flow = attention_flow(*demo).values
    assert (flow >= 0).all()
    assert flow.max() <= 1 + 1e-6
    assert flow[0] > 0
