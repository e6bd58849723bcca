"""AtP and AtP*: exact where what is behind the patch is linear, and each repair where it is needed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.errors import BadParameter, Cancelled
from interpboard.models.language_model import LanguageModel
from interpboard.patching.activation import activation_patching
from interpboard.patching.estimates import attribution_patching
from interpboard.results import MetricRequest
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from interpboard.runs.watch import Watch
from tests.lm import case, fingerprint
from tests.patching.test_activation import CLEAN, CORRUPTED
from tests.tiny import tiny_model, tiny_tokenizer


@lru_cache
def linear_lm(family: str) -> LanguageModel:
    """Frozen patterns (all queries and keys 0), frozen norms, no MLPs: everything is linear."""
    model = tiny_model(family, torch.float64)
    silent = ("q_proj", "k_proj", "down_proj", "mlp.c_proj")
    with torch.no_grad():
        for name, module in model.named_modules():
            if name.endswith(silent):
                module.weight.zero_()
            if name.endswith("c_attn"):
                module.weight[:, :64] = 0
                module.bias[:64] = 0
            if name.endswith(("wte", "embed_tokens")):
                module.weight.mul_(10)
            if "norm" in name or "ln_" in name:
                module.forward = lambda x: x
    return LanguageModel.of(model, tiny_tokenizer())


def _effects(result: Any) -> np.ndarray:
    return result.extra["metric"].values - float(result.extra["corrupted"].values)


def _linear_case(family: str) -> Any:
    lm = linear_lm(family)
    prompt = make_prompt(lm, CLEAN)
    return lm, prompt, resolve_metric(lm, prompt, MetricRequest())


@pytest.mark.parametrize("along", ["position", "head", "head_position"])
@pytest.mark.parametrize("site", ["embed", "resid_pre", "resid_post", "attn_out", "z", "v"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_with_patterns_and_norms_frozen_and_no_mlps_the_estimate_is_exact(
    family: str, site: str, along: str
) -> None:
    if along != "position" and site not in ("z", "v"):
        return
    lm, prompt, metric = _linear_case(family)
    options = {"corrupted": CORRUPTED, "site": site, "along": along}
    exact = _effects(activation_patching(lm, prompt, metric, **options))
    assert np.abs(exact).max() > 1e-3
    found = attribution_patching(lm, prompt, metric, **options).values
    np.testing.assert_allclose(found, exact, atol=1e-9)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_dropping_a_layers_gradient_is_holding_what_it_adds(family: str) -> None:
    lm, prompt, metric = _linear_case(family)
    found = attribution_patching(
        lm, prompt, metric, corrupted=CORRUPTED, site="z", method="atp_star"
    )
    other = make_prompt(lm, CORRUPTED)
    run, donor = record(lm, other, ("attn_out",)), record(lm, prompt, ("z",))
    held = [
        Edit("attn_out", layer, "patch", value=run.sites["attn_out"][layer][0])
        for layer in range(3)
    ]
    at_base = float(found.extra["corrupted"].values)
    for layer in range(3):
        for head in range(4):
            patch = Edit("z", layer, "patch", head, value=donor.sites["z"][layer][0][:, head])
            sizes = np.abs(
                evaluate(run, [(patch, held[i]) for i in range(3) if i != layer], metric) - at_base
            )
            assert found.values[layer, head] == pytest.approx(sizes.mean(), abs=1e-9)
    plain = attribution_patching(lm, prompt, metric, corrupted=CORRUPTED, site="z")
    np.testing.assert_allclose(found.extra["signed"].values, plain.values, atol=1e-12)
    assert (found.values >= 0).all()


@lru_cache
def _sharp_lm(family: str) -> LanguageModel:
    model = tiny_model(family, torch.float64)
    with torch.no_grad():
        for name, module in model.named_modules():
            if name.endswith("q_proj"):
                module.weight.mul_(6)
            if name.endswith("c_attn"):
                module.weight[:, :32] *= 6
    return LanguageModel.of(model, tiny_tokenizer())


@pytest.mark.usefixtures("changed_on_purpose")
@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("along", ["position", "head", "head_position"])
@pytest.mark.parametrize("site", ["q", "k"])
def test_with_only_the_softmax_bent_the_qk_fix_is_exact(site: str, along: str, family: str) -> None:
    lm = _sharp_lm(family)
    prompt = make_prompt(lm, CLEAN)
    metric = resolve_metric(lm, prompt, MetricRequest())
    norm, mlp = lm.anatomy.final_norm, lm.anatomy.mlp[-1]
    norm.forward = lambda x: x
    mlp.forward = torch.zeros_like
    try:
        options = {"corrupted": CORRUPTED, "site": site, "along": along}
        exact = _effects(activation_patching(lm, prompt, metric, **options))[-1]
        plain = attribution_patching(lm, prompt, metric, **options).values[-1]
        fixed = attribution_patching(lm, prompt, metric, method="atp_qk", **options).values[-1]
    finally:
        del norm.forward, mlp.forward
    np.testing.assert_allclose(fixed, exact, atol=1e-6)  # the eager softmax is float32 always
    assert np.abs(plain - exact).max() > 1e-4 > 50 * np.abs(fixed - exact).max()


@pytest.mark.parametrize("along", ["head", "head_position"])
@pytest.mark.parametrize("site", ["q", "k"])
def test_where_the_softmax_saturates_the_fixed_estimate_is_closer(site: str, along: str) -> None:
    lm = _sharp_lm("llama")
    errors: dict[str, list[float]] = {"atp": [], "atp_qk": [], "atp_star": []}
    for clean, corrupted in (
        (CLEAN, CORRUPTED),
        ("When Mary and John went", "When John and Mary went"),
        ("The keys to the cabinet are", "The keys on the cabinet are"),
    ):
        prompt = make_prompt(lm, clean)
        metric = resolve_metric(lm, prompt, MetricRequest())
        options = {"corrupted": corrupted, "site": site, "along": along}
        exact = _effects(activation_patching(lm, prompt, metric, **options))
        for method, found in errors.items():
            values = attribution_patching(lm, prompt, metric, method=method, **options).values
            effect = np.abs(exact) if method == "atp_star" else exact
            found.append(float(np.abs(values - effect).sum()))
    assert sum(errors["atp_qk"]) < 0.7 * sum(errors["atp"])
    assert sum(errors["atp_star"]) < sum(errors["atp"])


@pytest.mark.usefixtures("changed_on_purpose")
def test_two_forwards_and_one_backward_give_the_whole_grid() -> None:
    lm, prompt, metric = case("llama", text=CLEAN)
    forwards, backwards = [], []
    handles = [
        lm.anatomy.layers[0].register_forward_hook(lambda *_: forwards.append(1)),
        lm.anatomy.layers[2].register_full_backward_hook(lambda *_: backwards.append(1)),
    ]
    try:
        attribution_patching(lm, prompt, metric, corrupted=CORRUPTED)
    finally:
        for handle in handles:
            handle.remove()
    assert len(forwards) == 2
    assert len(backwards) == 1


@pytest.mark.parametrize("method", ["atp", "atp_star"])
def test_the_largest_estimates_are_measured_and_their_error_kept(method: str) -> None:
    lm, prompt, metric = case("llama", torch.float64, text=CLEAN)
    options = {"corrupted": CORRUPTED, "site": "z", "along": "head_position"}
    exact = _effects(activation_patching(lm, prompt, metric, **options))
    heard: list[Any] = []
    watch = Watch(on_progress=lambda *args: heard.append(args))
    result = attribution_patching(
        lm, prompt, metric, method=method, verify=7, watch=watch, **options
    )
    known = np.isfinite(result.extra["exact"].values)
    assert known.sum() == 7
    assert np.abs(result.values[known]).min() >= np.abs(result.values[~known]).max()
    np.testing.assert_allclose(result.extra["exact"].values[known], exact[known], atol=1e-9)
    against = np.abs(exact) if method == "atp_star" else exact
    error = result.extra["error"].values
    np.testing.assert_allclose(error[known], (result.values - against)[known], atol=1e-9)
    assert np.isnan(error[~known]).all()
    mean = float(result.extra["mean_abs_error"].values)
    assert mean == pytest.approx(np.abs(error[known]).mean())
    last = heard[-1]
    assert last[0] == last[1]
    assert [done for done, _, _ in heard] == sorted(done for done, _, _ in heard)
    np.testing.assert_allclose(last[2].values[known], against[known], atol=1e-9)
    np.testing.assert_array_equal(last[2].values[~known], result.values[~known])
    everything = attribution_patching(lm, prompt, metric, method=method, verify=10_000, **options)
    np.testing.assert_allclose(everything.extra["exact"].values, exact, atol=1e-9)


def test_what_it_cannot_do_is_refused_and_a_cancel_leaves_nothing() -> None:
    lm, prompt, metric = case(text=CLEAN)
    before = fingerprint(lm)
    with pytest.raises(BadParameter, match="for q and k"):
        attribution_patching(lm, prompt, metric, corrupted=CORRUPTED, method="atp_qk")
    for stop in (0, 2, 4, 6):
        steps = iter(range(1000))
        with pytest.raises(Cancelled):
            attribution_patching(
                lm,
                prompt,
                metric,
                corrupted=CORRUPTED,
                site="k",
                along="position",
                method="atp_star",
                verify=3,
                watch=Watch(cancelled=lambda steps=steps, stop=stop: next(steps) >= stop),
            )
        assert fingerprint(lm) == before
