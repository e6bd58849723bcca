"""Activation patching: identities that hold to rounding, on several families."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.errors import BadParameter, BadPrompt, Cancelled, Unsupported
from interpboard.patching.activation import activation_patching
from interpboard.patching.estimates import attribution_patching
from interpboard.patching.grid import PATCH_SITES
from interpboard.results import LabelledArray
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.watch import Watch
from tests.lm import case, fingerprint, unproved

CLEAN = "The Eiffel Tower is located in the city"
CORRUPTED = "The Eiffel Tower is located on the city"  # one token differs, at FIRST
FIRST = 5
BOTH = pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "falcon"])


def _patch(family: str = "gpt2", **options):
    lm, prompt, metric = case(family, torch.float64, text=CLEAN, name="logprob")
    return activation_patching(lm, prompt, metric, corrupted=CORRUPTED, **options)


@BOTH
def test_the_last_position_of_the_last_layer_restores_all_and_an_earlier_one_nothing(
    family: str,
) -> None:
    result = _patch(family, site="resid_post")
    assert result.values.shape == (3, 8)
    np.testing.assert_allclose(result.values[-1, -1], 1, atol=1e-6)
    np.testing.assert_allclose(result.values[-1, :-1], 0, atol=1e-6)


@BOTH
@pytest.mark.parametrize("direction", ["denoising", "noising"])
def test_before_the_first_difference_a_patch_has_no_effect(family: str, direction: str) -> None:
    result = _patch(family, site="resid_pre", direction=direction)
    untouched = 0 if direction == "denoising" else 1
    np.testing.assert_allclose(result.values[:, :FIRST], untouched, atol=1e-6)
    # And at the difference, in the first layer, it is the other prompt.
    np.testing.assert_allclose(result.values[0, FIRST], 1 - untouched, atol=1e-6)


@BOTH
def test_each_cell_is_a_plain_forward_with_that_activation_in_place(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64, text=CLEAN, name="logprob")
    result = activation_patching(lm, prompt, metric, corrupted=CORRUPTED, site="resid_pre")
    corrupted = make_prompt(lm, CORRUPTED)
    layer, position = 1, 6
    kept: list[torch.Tensor] = []
    module = lm.anatomy.layers[layer]

    def keep(_m, args, kwargs):
        kept.append((args[0] if args else kwargs["hidden_states"]).clone())

    def put(_m, args, kwargs):
        hidden = (args[0] if args else kwargs["hidden_states"]).clone()
        hidden[0, position] = kept[0][0, position]
        return (
            ((hidden, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": hidden})
        )

    with torch.no_grad():
        for ids, hook in ((input_ids(lm, prompt), keep), (input_ids(lm, corrupted), put)):
            handle = module.register_forward_pre_hook(hook, with_kwargs=True)
            logits = lm.model(input_ids=ids).logits[:, -1]
            handle.remove()
    expected = float(metric.of(logits)[0])
    assert result.extra["metric"].values[layer, position] == pytest.approx(expected, abs=1e-6)
    clean, bad = (float(result.extra[name].values) for name in ("clean", "corrupted"))
    recovered = (expected - bad) / (clean - bad)
    assert result.values[layer, position] == pytest.approx(recovered, abs=1e-5)


@pytest.mark.parametrize("site", [site for site in PATCH_SITES if site != "router"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_every_site_gives_a_grid_whose_axes_fit(family: str, site: str) -> None:
    result = _patch(family, site=site)
    assert np.isfinite(result.values).all()
    names = tuple(axis.name for axis in result.axes)
    heads = 2 if family == "llama" and site in ("k", "v") else 4
    if site in ("z", "q", "k", "v", "pattern"):
        assert names == ("layer", "head")
        assert result.values.shape == (3, heads)
        each = _patch(family, site=site, along="head_position")
        assert each.values.shape == (3, heads, 8)
        np.testing.assert_allclose(each.values[:, :, :FIRST], 0, atol=1e-6)
    elif site == "neuron":
        assert names == ("layer", "neuron")
    else:
        assert names == ("layer", "token")


def test_patching_all_heads_together_is_patching_z_along_positions() -> None:
    along = _patch("llama", site="z", along="position")
    assert along.values.shape == (3, 8)
    out = _patch("llama", site="attn_out")
    np.testing.assert_allclose(along.values, out.values, atol=1e-6)


def test_equal_metrics_give_nan_and_a_warning() -> None:
    lm, prompt, metric = case(text=CLEAN, position=2)  # before the difference
    result = activation_patching(lm, prompt, metric, corrupted=CORRUPTED)
    assert np.isnan(result.values).all()
    assert "nothing to recover" in result.warnings[0]


def test_bad_input_is_refused_by_name_and_nothing_is_left_behind() -> None:
    lm, prompt, metric = case(text=CLEAN)
    before = fingerprint(lm)
    with pytest.raises(BadPrompt, match=r"' Eiffel' ' Tower'.* against "):
        activation_patching(lm, prompt, metric, corrupted="The Eiffel Tower")
    with pytest.raises(BadPrompt, match="the same"):
        activation_patching(lm, prompt, metric, corrupted=CLEAN)
    for wrong in ({"site": "mlp"}, {"site": "z", "along": "neuron"}, {"direction": "up"}):
        with pytest.raises(BadParameter):
            activation_patching(lm, prompt, metric, corrupted=CORRUPTED, **wrong)
    with pytest.raises(Unsupported, match="pattern"):
        activation_patching(
            unproved(lm, {"pattern"}), prompt, metric, corrupted=CORRUPTED, site="pattern"
        )
    with pytest.raises(Cancelled):
        activation_patching(
            lm, prompt, metric, corrupted=CORRUPTED, watch=Watch(cancelled=lambda: True)
        )
    assert fingerprint(lm) == before


@pytest.mark.parametrize("direction", ["denoising", "noising"])
@pytest.mark.parametrize("site", ["resid_pre", "z"])
def test_a_preview_comes_first_and_changes_no_exact_value(site: str, direction: str) -> None:
    lm, prompt, metric = case("llama", torch.float64, text=CLEAN, name="logprob")
    heard: list[LabelledArray] = []
    options = {"corrupted": CORRUPTED, "site": site, "direction": direction}
    result = activation_patching(
        lm, prompt, metric, preview=True, **options,
        watch=Watch(lambda _done, _total, partial: heard.append(partial)),
    )  # fmt: skip
    plain = activation_patching(lm, prompt, metric, **options)
    np.testing.assert_array_equal(result.values, plain.values)
    assert "estimate" not in plain.extra
    estimate = result.extra["estimate"].values
    assert heard[0].estimated.all()
    np.testing.assert_array_equal(heard[0].values, estimate)
    assert not heard[-1].estimated.any()
    np.testing.assert_array_equal(heard[-1].values, plain.values)
    error = result.extra["estimate_error"].values
    np.testing.assert_allclose(error, estimate - plain.values)
    assert np.abs(error).max() > 1e-6
    if direction == "denoising":
        same = attribution_patching(lm, prompt, metric, corrupted=CORRUPTED, site=site)
        np.testing.assert_allclose(estimate, same.extra["recovered"].values)


def test_a_preview_into_the_clean_run_needs_a_metric_with_a_slope_there() -> None:
    lm, prompt, metric = case("llama", text=CLEAN, name="kl")
    options = {"corrupted": CORRUPTED, "site": "z", "preview": True}
    into_clean = activation_patching(lm, prompt, metric, direction="noising", **options)
    into_corrupted = activation_patching(lm, prompt, metric, direction="denoising", **options)
    assert "estimate" not in into_clean.extra
    assert np.abs(into_corrupted.extra["estimate"].values).max() > 1e-4
