"""What takes an activation's place, at every site."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.errors import BadParameter
from interpboard.models.sites import HEAD_SITES, SITES
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.replacements import make_replacement
from interpboard.runs.replay import evaluate
from tests.lm import case, fingerprint

OTHER = "The Eiffel Tower is located in the house of"
WITHOUT_PATTERN = tuple(site for site in SITES if site != "pattern")


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("kind", ["position_mean", "resample"])
def test_what_the_prompt_itself_gives_changes_nothing(family: str, kind: str) -> None:
    lm, prompt, metric = case(family, torch.float64, name="logprob")
    run = record(lm, prompt)
    before = fingerprint(lm)
    for site in SITES if kind == "resample" else WITHOUT_PATTERN:
        made = make_replacement(run, site, kind, [prompt] * 3)
        edits = [(made.edit(layer),) for layer in range(3)] + [(made.edit(1, positions=(2, 4)),)]
        values = evaluate(run, edits, metric)
        np.testing.assert_allclose(values, metric.baseline, rtol=0, atol=1e-10, err_msg=site)
    assert fingerprint(lm) == before


@pytest.mark.parametrize("site", WITHOUT_PATTERN)
def test_means_are_those_of_the_recorded_activations(site: str) -> None:
    lm, prompt, _ = case("llama", torch.float64)
    other = make_prompt(lm, OTHER)
    shorter = make_prompt(lm, "The keys to the")
    run = record(lm, prompt, (site,))
    mine = run.sites[site][1][0]
    theirs = record(lm, other, (site,)).sites[site][1][0]
    short = record(lm, shorter, (site,)).sites[site][1][0]
    expected = {
        "mean": (make_replacement(run, site, "mean"), mine.mean(0)[None]),
        "dataset_mean": (
            make_replacement(run, site, "dataset_mean", [other, shorter]),
            torch.cat([theirs, short]).mean(0)[None],
        ),
        "position_mean": (
            make_replacement(run, site, "position_mean", [prompt, other]),
            (mine + theirs) / 2,
        ),
        "resample": (make_replacement(run, site, "resample", [shorter, other]), theirs),
    }
    for kind, (made, value) in expected.items():
        edit = made.edit(1)
        assert edit.value is not None
        torch.testing.assert_close(edit.value, value, msg=kind)
        at = made.edit(1, positions=(3, 1))
        assert at.value is not None
        torch.testing.assert_close(at.value, value if len(value) == 1 else value[[3, 1]])


def test_one_head_and_one_neuron_are_parts_of_the_whole() -> None:
    lm, prompt, metric = case("gpt2", torch.float64)
    run = record(lm, prompt, ("z", "neuron"))
    heads = make_replacement(run, "z", "mean")
    together = tuple(heads.edit(1, head=head) for head in range(4))
    neurons = make_replacement(run, "neuron", "mean")
    n_neurons = run.sites["neuron"][0].shape[-1]
    all_neurons = tuple(neurons.edit(2, neuron=n) for n in range(n_neurons))
    measured = evaluate(run, [together, all_neurons], metric)
    whole = evaluate(run, [(heads.edit(1),), (neurons.edit(2),)], metric)
    np.testing.assert_allclose(measured, whole, rtol=1e-12)


def test_a_permutation_keeps_the_activations_and_none_its_place() -> None:
    lm, prompt, _ = case("gpt2")
    run = record(lm, prompt, ("mlp_out",))
    own = run.sites["mlp_out"][0][0]
    moved = make_replacement(run, "mlp_out", "random", seed=3).edit(0).value
    assert moved is not None
    assert not (moved == own).all(1).any()
    torch.testing.assert_close(moved.sort(0).values, own.sort(0).values)
    again = make_replacement(run, "mlp_out", "random", seed=3).edit(0).value
    assert again is not None
    assert torch.equal(moved, again)


def test_noise_is_seeded_scaled_by_the_embeddings_and_nothing_at_scale_zero() -> None:
    lm, prompt, metric = case("llama", torch.float64)
    run = record(lm, prompt, ("resid_pre",))
    silent = make_replacement(run, "resid_pre", "noise", scale=0.0)
    values = evaluate(run, [(silent.edit(1),)], metric)
    np.testing.assert_allclose(values, metric.baseline, rtol=0, atol=1e-12)
    noise = make_replacement(run, "resid_pre", "noise", seed=1, scale=2.0).edit(1).value
    assert noise is not None
    deviation = float(lm.anatomy.embedding.weight.double().std())
    assert float(noise.std()) == pytest.approx(2 * deviation, rel=0.1)
    other = make_replacement(run, "resid_pre", "noise", seed=2, scale=2.0).edit(1).value
    assert other is not None
    assert not torch.equal(noise, other)


def test_what_cannot_be_made_is_refused() -> None:
    lm, prompt, _ = case()
    run = record(lm, prompt, HEAD_SITES)
    short = make_prompt(lm, "The keys")
    with pytest.raises(BadParameter, match="position_mean, resample, noise"):
        make_replacement(run, "z", "median")
    with pytest.raises(BadParameter, match="needs reference prompts"):
        make_replacement(run, "z", "dataset_mean")
    with pytest.raises(BadParameter, match="equally long"):
        make_replacement(run, "z", "position_mean", [short])
    with pytest.raises(BadParameter, match="No reference prompt has"):
        make_replacement(run, "z", "resample", [short])
    with pytest.raises(BadParameter, match="belongs to its query"):
        make_replacement(run, "pattern", "mean")
