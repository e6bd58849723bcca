"""Where what all layers have at a site is much, a donor makes a layer's anew: the values are the same."""

from __future__ import annotations

import subprocess
import weakref
from typing import Any

import numpy as np
import pytest

from interpboard.patching import confidence, donor
from interpboard.patching.activation import activation_patching
from interpboard.patching.confidence import patching_confidence
from interpboard.patching.donor import make_donor
from interpboard.patching.estimates import attribution_patching
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.watch import Watch
from tests.forks import program
from tests.lm import case
from tests.patching.test_activation import CLEAN, CORRUPTED


@pytest.fixture
def made_anew(monkeypatch: pytest.MonkeyPatch) -> Any:
    """From when it is called on."""
    return lambda: monkeypatch.setattr(donor, "is_kept_of_all_layers", lambda *_: False)


@pytest.mark.parametrize("family", ["gpt2", "llama", "opt"])
def test_what_a_donor_makes_anew_is_what_a_run_of_it_has(family: str, made_anew: Any) -> None:
    lm, prompt, _ = case(family)
    other = make_prompt(lm, CORRUPTED)
    made_anew()
    found = make_donor(lm, "neuron", other, prompt)
    assert found.made_anew
    whole = record(lm, other, ("neuron",)).sites["neuron"]
    assert len(found.values) == len(whole)
    for own, (expected, *_) in zip(found.values, whole, strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("along", ["neuron", "position"])
def test_a_grid_of_neurons_a_layer_at_a_time_is_the_same_and_says_how_far_it_is(
    along: str, made_anew: Any
) -> None:
    lm, prompt, metric = case("llama", text=CLEAN)
    options: dict[str, Any] = {"corrupted": CORRUPTED, "site": "neuron", "along": along}
    whole = activation_patching(lm, prompt, metric, **options)
    heard: list[tuple[int, int, Any]] = []
    watch = Watch(on_progress=lambda *told: heard.append(told))
    made_anew()
    found = activation_patching(lm, prompt, metric, **options, preview=True, watch=watch)
    np.testing.assert_allclose(found.values, whole.values, rtol=1e-4, atol=1e-5)
    assert np.abs(found.values).max() > 1e-3
    size = whole.values.size
    assert heard[-1][:2] == (size, size)
    assert [done for done, _, _ in heard] == sorted(done for done, _, _ in heard)
    unknown = [told.estimated.sum() for _, _, told in heard if told is not None]
    assert unknown[0] == size
    assert unknown[-1] == 0


def test_random_vectors_and_verified_estimates_are_the_same_a_layer_at_a_time(
    made_anew: Any,
) -> None:
    lm, prompt, metric = case("gpt2", text=CLEAN)
    options: dict[str, Any] = {"corrupted": CORRUPTED, "site": "neuron"}
    sure: dict[str, Any] = {**options, "pairs": [[CORRUPTED, CLEAN]], "control": True}
    before = patching_confidence(lm, prompt, metric, **sure).extra
    estimates = attribution_patching(lm, prompt, metric, **options, verify=7)
    made_anew()
    after = patching_confidence(lm, prompt, metric, **sure).extra
    for name in ("per_pair", "control"):
        np.testing.assert_allclose(after[name].values, before[name].values, rtol=1e-4, atol=1e-5)
    found = attribution_patching(lm, prompt, metric, **options, verify=7)
    np.testing.assert_allclose(found.values, estimates.values, rtol=1e-4, atol=1e-6)
    exact, expected = found.extra["exact"].values, estimates.extra["exact"].values
    assert np.isfinite(exact).sum() == 7
    np.testing.assert_allclose(exact, expected, rtol=1e-4, atol=1e-6)


def test_what_is_kept_of_a_pair_is_let_go_before_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, prompt, metric = case("gpt2", text=CLEAN)
    kept: list[weakref.ref[Any]] = []

    def heard(*args: Any, **kwargs: Any) -> Any:
        assert [each() for each in kept] == [None] * len(kept)
        run = record(*args, **kwargs)
        assert not run.sites, "what random vectors are as long as comes from the layers' inputs"
        kept.append(weakref.ref(run))
        return run

    monkeypatch.setattr(confidence, "record", heard)
    pairs = [[CLEAN, CORRUPTED], [CORRUPTED, CLEAN]]
    patching_confidence(lm, prompt, metric, corrupted=CORRUPTED, pairs=pairs, control=True)
    assert len(kept) == 3


def test_neurons_of_a_long_prompt_are_patched_in_less_memory_than_all_of_them_take() -> None:
    # 8 layers × 750 × 4,096 neurons in float32 are 94 MiB, and a layer needs several times its own.
    ended = subprocess.run(
        program("tests.little_memory", "neurons", "128"),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-1500:]
    assert "(8, 4096)" in ended.stdout
