"""Attribution patching: exact where the metric is linear in what is patched, close where it nearly is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.errors import BadParameter, Unsupported
from interpboard.patching.activation import activation_patching
from interpboard.patching.estimates import attribution_patching
from interpboard.runs.edits import Edit
from interpboard.runs.gradients.sites import site_gradients
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.lm import case, fingerprint
from tests.patching.test_activation import CLEAN, CORRUPTED

SITES = ("embed", "resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out", "z", "q", "k", "v",
         "pattern", "neuron")  # fmt: skip


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_gradient_at_every_site_is_that_of_measured_small_edits(family: str, site: str) -> None:
    lm, prompt, metric = case(family, torch.float64, text=CLEAN)
    found = site_gradients(lm, prompt, metric, site)
    run = record(lm, prompt)
    generator = torch.Generator().manual_seed(0)
    step = 2e-3  # llama's norms and the eager softmax work in float32: a smaller one drowns in it
    layers = [0] if site == "embed" else range(3)
    for layer in layers:
        gradient = found.gradients[layer]
        direction = torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
        ends = evaluate(
            run,
            [(Edit(site, layer, "add", value=sign * step * direction),) for sign in (1, -1)],
            metric,
        )
        slope = (ends[0] - ends[1]) / (2 * step)
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-2, abs=2e-4)
    assert found.metric == pytest.approx(metric.baseline, abs=1e-9)


@pytest.mark.parametrize("along", ["position", "head", "head_position"])
def test_integrated_estimates_come_close_to_the_exact_grid(along: str) -> None:
    lm, prompt, metric = case("llama", torch.float64, text=CLEAN)
    options = {"corrupted": CORRUPTED, "site": "z", "along": along}
    exact = activation_patching(lm, prompt, metric, **options)
    effect = exact.extra["metric"].values - float(exact.extra["corrupted"].values)
    plain = attribution_patching(lm, prompt, metric, **options)
    assert plain.axes == exact.axes
    error = np.abs(plain.values - effect).max()
    assert np.corrcoef(plain.values.ravel(), effect.ravel())[0, 1] > 0.9
    assert error < 0.5 * np.abs(effect).max()


def test_integrating_over_everything_a_layer_holds_is_complete() -> None:
    # Along all positions together the integral of the gradient is the whole change of the metric.
    lm, prompt, metric = case("llama", torch.float64, text=CLEAN)
    options = {"corrupted": CORRUPTED, "site": "resid_pre", "method": "ig"}
    errors = []
    for n_steps in (1, 4, 16):
        result = attribution_patching(lm, prompt, metric, n_steps=n_steps, **options)
        span = float(result.extra["clean"].values) - float(result.extra["corrupted"].values)
        errors.append(np.abs(result.values.sum(1) - span).max())
    assert errors[2] < errors[1] < errors[0]
    assert errors[2] < 0.02 * abs(span)
    np.testing.assert_allclose(result.extra["recovered"].values, result.values / span)


@pytest.mark.usefixtures("changed_on_purpose")
def test_where_the_rest_is_linear_the_estimate_is_exact() -> None:
    lm, prompt, metric = case("gpt2", torch.float64, text=CLEAN)
    norm, mlp = lm.anatomy.final_norm, lm.anatomy.mlp[-1]
    norm.forward = lambda x: x
    mlp.forward = torch.zeros_like
    try:
        options = {"corrupted": CORRUPTED, "site": "attn_out"}
        exact = activation_patching(lm, prompt, metric, **options)
        estimate = attribution_patching(lm, prompt, metric, **options)
    finally:
        del norm.forward, mlp.forward
    effect = exact.extra["metric"].values - float(exact.extra["corrupted"].values)
    np.testing.assert_allclose(estimate.values[-1], effect[-1], atol=1e-9)


def test_it_says_that_it_is_an_estimate_and_leaves_nothing_behind() -> None:
    lm, prompt, metric = case(text=CLEAN)
    before = fingerprint(lm)
    result = attribution_patching(lm, prompt, metric, corrupted=CORRUPTED)
    assert "estimates" in result.warnings[0]
    assert fingerprint(lm) == before
    assert all(parameter.grad is None for parameter in lm.model.parameters())
    with pytest.raises(BadParameter, match="guess"):
        attribution_patching(lm, prompt, metric, corrupted=CORRUPTED, method="guess")
    ranked = case(text=CLEAN, name="rank")
    with pytest.raises(Unsupported, match="rank"):
        attribution_patching(*ranked, corrupted=CORRUPTED)


def test_changes_of_queries_are_read_from_the_run_that_gradients_go_through() -> None:
    """The embedding is called once for the donor and once for the run patched into, whose streams of all
    layers are there once."""
    lm, prompt, metric = case("gpt2", text=CLEAN)
    called: list[int] = []
    handle = lm.anatomy.embedding.register_forward_hook(lambda *_: called.append(1))
    try:
        attribution_patching(
            lm, prompt, metric, corrupted=CORRUPTED, site="q", method="atp_star", verify=0
        )
    finally:
        handle.remove()
    assert len(called) == 2
