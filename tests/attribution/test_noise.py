"""SmoothGrad and noise tunnels: no noise is the method itself, noise is the mean over its samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.attribution.grad_x_input import grad_x_input
from interpboard.attribution.integrated_gradients import integrated_gradients
from interpboard.attribution.noise_tunnel import noise_tunnel
from interpboard.attribution.noisy_inputs import noisy_inputs
from interpboard.attribution.saliency import saliency
from interpboard.attribution.smoothgrad import smoothgrad
from interpboard.errors import BadParameter, Unsupported
from interpboard.runs import steps
from interpboard.runs.gradients.embeddings import metric_and_gradient, prompt_embeddings
from tests.alive import Alive
from tests.lm import case, fingerprint

BOTH = pytest.mark.parametrize("family", ["gpt2", "llama"])
METHODS = {
    "saliency": saliency,
    "grad_x_input": grad_x_input,
    "integrated_gradients": integrated_gradients,
}


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_noise_each_is_the_method_itself(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype)
    near = {"rtol": 1e-3, "atol": 1e-3} if dtype == torch.float32 else {"rtol": 1e-6, "atol": 1e-6}
    for name, method in METHODS.items():
        result = noise_tunnel(lm, prompt, metric, of=name, samples=3, noise=0)
        np.testing.assert_allclose(result.values, method(lm, prompt, metric).values, **near)
        np.testing.assert_allclose(result.extra["std_error"].values, 0, atol=1e-3)
    smooth = smoothgrad(lm, prompt, metric, samples=3, noise=0, norm="l1")
    plain = saliency(lm, prompt, metric, norm="l1")
    np.testing.assert_allclose(smooth.values, plain.values, **near)


@BOTH
def test_with_noise_each_is_the_mean_over_its_samples(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64)
    options = {"samples": 5, "noise": 0.3, "seed": 7}
    inputs = noisy_inputs(lm, prompt, **options)
    gradients = torch.cat([metric_and_gradient(lm, prompt, metric, x[None])[1] for x in inputs])
    smooth = smoothgrad(lm, prompt, metric, **options)
    np.testing.assert_allclose(smooth.values, gradients.mean(0).norm(dim=-1), rtol=1e-5)
    assert not np.allclose(smooth.values, saliency(lm, prompt, metric).values)
    products = (gradients * inputs).sum(-1).numpy()
    tunnel = noise_tunnel(lm, prompt, metric, of="grad_x_input", **options)
    np.testing.assert_allclose(tunnel.values, products.mean(0), rtol=1e-5)
    error = products.std(0, ddof=1) / 5**0.5
    np.testing.assert_allclose(tunnel.extra["std_error"].values, error, rtol=1e-5)


def test_the_scores_of_noisy_paths_sum_to_the_mean_change() -> None:
    lm, prompt, metric = case("gpt2", torch.float64)
    options = {"samples": 3, "noise": 0.2, "seed": 1}
    inputs = noisy_inputs(lm, prompt, **options)
    start = torch.zeros_like(inputs[:1])
    values, _ = metric_and_gradient(lm, prompt, metric, torch.cat([start, inputs]))
    result = noise_tunnel(lm, prompt, metric, n_steps=256, **options)
    assert result.values.sum() == pytest.approx(float(values[1:].mean() - values[0]), rel=0.01)


def test_noise_follows_its_seed_and_its_scale() -> None:
    lm, prompt, _ = case("gpt2", torch.float64)
    one, same, other = (noisy_inputs(lm, prompt, 64, 0.5, seed) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    deviation = float(lm.anatomy.embedding.weight.std())
    assert float((one - prompt_embeddings(lm, prompt)).std()) == pytest.approx(
        0.5 * deviation, rel=0.02
    )


@pytest.mark.usefixtures("changed_on_purpose")
def test_a_noisy_copy_more_is_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, prompt, metric = case("gpt2")
    monkeypatch.setitem(steps.TOKENS_BACK, "cpu", 1)  # a row a pass
    monkeypatch.setattr(steps, "TOKENS_BACK_WHOLE", 1)
    copy, more = len(prompt.token_ids) * lm.anatomy.d_model * 4, 16
    for of, options in (("integrated_gradients", {"n_steps": 1}), ("saliency", {})):
        most = []
        for samples in (2, 2 + more):
            seen: list[int] = []
            with Alive() as alive:
                handle = lm.anatomy.layers[-1].register_forward_hook(
                    lambda *_, alive=alive, seen=seen: seen.append(alive.now())
                )
                noise_tunnel(lm, prompt, metric, of=of, samples=samples, **options)
                handle.remove()
            most.append(max(seen))
        # What a sample adds besides are its scores, one number a token.
        assert more * copy <= most[1] - most[0] <= 1.2 * more * copy


def test_bad_options_are_refused_and_nothing_is_left() -> None:
    lm, prompt, metric = case()
    before = fingerprint(lm)
    smoothgrad(lm, prompt, metric, samples=2)
    assert np.isnan(noise_tunnel(lm, prompt, metric, samples=1).extra["std_error"].values).all()
    with pytest.raises(BadParameter, match="occlusion"):
        noise_tunnel(lm, prompt, metric, of="occlusion")
    with pytest.raises(BadParameter, match="at least one sample"):
        smoothgrad(lm, prompt, metric, samples=0)
    with pytest.raises(Unsupported, match="rank"):
        noise_tunnel(*case(name="rank"))
    assert fingerprint(lm) == before
