"""Activation patching between the clean prompt and itself with noise on the subject's embeddings."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from interpboard.analyze import analyze
from interpboard.cli.main import main
from interpboard.errors import BadParameter
from interpboard.patching import ActivationPatcher
from interpboard.patching.activation import activation_patching
from interpboard.patching.causal_tracing import causal_trace
from interpboard.registry import analyses_for, find_analysis
from interpboard.results import Result
from interpboard.runs.noise import embedding_noise
from interpboard.runs.prompt import input_ids
from tests.lm import case, fingerprint, tiny_lm
from tests.patching.test_activation import CLEAN, CORRUPTED

SUBJECT = "Eiffel Tower"
AT = (1, 2)
FAMILIES = pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "bloom"])
BOTH_WAYS = pytest.mark.parametrize("direction", ["denoising", "noising"])


def _patch(family: str = "gpt2", **options) -> Result:
    lm, prompt, metric = case(family, torch.float64, text=CLEAN, name="logprob")
    return activation_patching(lm, prompt, metric, **{"subject": SUBJECT, "seed": 3, **options})


def _ends(result: Result) -> tuple[float, float]:
    return float(result.extra["clean"].values), float(result.extra["corrupted"].values)


@FAMILIES
def test_the_corrupted_run_is_a_plain_forward_with_noise_on_the_subject(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64, text=CLEAN, name="logprob")
    noise = embedding_noise(lm, AT, 2.0, 1, 3)[0][0].value.double()

    def drown(_module, _args, out):
        out = out.clone()
        out[0, list(AT)] += noise
        return out

    before = fingerprint(lm)
    result = _patch(family, noise=2.0)
    assert fingerprint(lm) == before
    handle = lm.anatomy.embedding.register_forward_hook(drown)
    with torch.no_grad():
        expected = float(metric.of(lm.model(input_ids=input_ids(lm, prompt)).logits[:, -1])[0])
    handle.remove()
    clean, corrupted = _ends(result)
    assert corrupted == pytest.approx(expected, abs=1e-6)
    assert clean == pytest.approx(metric.baseline, abs=1e-12)
    assert abs(clean - corrupted) > 1e-3
    assert result.params["subject"] == [1, 2]
    assert (result.params["noise"], result.params["seed"]) == (2.0, 3)


@BOTH_WAYS
def test_without_noise_the_total_effect_is_0_and_nothing_is_to_recover(direction: str) -> None:
    result = _patch("llama", noise=0.0, direction=direction)
    clean, corrupted = _ends(result)
    assert clean - corrupted == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(result.extra["metric"].values, clean, rtol=0, atol=1e-12)
    assert "nothing to recover" in result.warnings[0]


@FAMILIES
@BOTH_WAYS
def test_all_noised_embeddings_put_back_give_the_clean_run_and_one_a_part(
    family: str, direction: str
) -> None:
    other, one = 1.0, 0.0
    if direction == "noising":
        other, one = one, other
    alone = _patch(family, site="embed", subject=[1], direction=direction)
    assert alone.values.shape == (1, 8)
    assert alone.values[0, 1] == pytest.approx(other, abs=1e-6)
    np.testing.assert_allclose(np.delete(alone.values[0], 1), one, atol=1e-6)
    both = _patch(family, site="embed", direction=direction)
    assert np.abs(both.values[0, 1:3] - other).min() > 1e-4  # the second position is noised still
    np.testing.assert_allclose(both.values[0, [0, *range(3, 8)]], one, atol=1e-6)


@FAMILIES
def test_the_stream_at_the_end_restores_all_and_before_the_subject_nothing(family: str) -> None:
    result = _patch(family, site="resid_post")
    assert result.values[-1, -1] == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(result.values[-1, :-1], 0, atol=1e-6)
    np.testing.assert_allclose(result.values[:, 0], 0, atol=1e-6)


def test_it_is_what_a_causal_trace_of_one_sample_measures() -> None:
    lm, prompt, metric = case("llama", torch.float64, text=CLEAN, name="logprob")
    patched = _patch("llama", site="mlp_out", noise=3.0)
    traced = causal_trace(
        lm, prompt, metric, subject=SUBJECT, state="mlp", window=1, samples=1, seed=3
    )
    clean, corrupted = _ends(patched)
    np.testing.assert_allclose(patched.values * (clean - corrupted), traced.values, atol=1e-9)
    assert np.abs(traced.values).max() > 1e-3


@BOTH_WAYS
@pytest.mark.parametrize("site", ["z", "pattern", "neuron"])
def test_heads_patterns_and_neurons_are_patched_too(site: str, direction: str) -> None:
    result = _patch("llama", site=site, direction=direction)
    assert np.isfinite(result.values).all()
    assert result.values.std() > 1e-5


def test_a_preview_into_the_noised_run_is_the_slope_there() -> None:
    # With hardly any noise the estimate and the exact value meet.
    result = _patch("llama", site="resid_pre", noise=1e-3, preview=True)
    np.testing.assert_allclose(result.extra["estimate"].values, result.values, atol=2e-2)
    assert np.abs(result.values).max() > 0.5


def test_other_seeds_give_other_noise_and_the_same_seed_the_same() -> None:
    first, again, other = (_patch(seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.values, again.values)
    assert abs(_ends(first)[1] - _ends(other)[1]) > 1e-4


def test_the_corrupted_prompt_is_used_where_both_are_given() -> None:
    plain = _patch(corrupted=CORRUPTED, subject=None)
    both = _patch(corrupted=CORRUPTED)
    np.testing.assert_array_equal(plain.values, both.values)
    assert both.params == plain.params
    assert "subject" not in both.params


def test_with_neither_it_says_what_to_give() -> None:
    with pytest.raises(BadParameter, match="corrupted prompt, or the subject"):
        _patch(subject=None)
    with pytest.raises(BadParameter, match=r"needs corrupted.*--corrupted '...', or --subject"):
        find_analysis("activation_patching").parse({})
    with pytest.raises(BadParameter, match="not in the prompt"):
        _patch(subject="Louvre")


def test_the_registry_runs_it_by_name_and_from_saved_parameters() -> None:
    lm = tiny_lm("llama")
    given = {"activation_patching": {"subject": SUBJECT, "noise": "2", "site": "z"}}
    first = analyze(lm, CLEAN, ("activation_patching",), params=given).results[0]
    saved = {"activation_patching": first.params}
    again = analyze(lm, CLEAN, ("activation_patching",), params=saved).results[0]
    np.testing.assert_array_equal(first.values, again.values)
    assert again.params == first.params
    # The overview patches between prompts: a subject alone is for the trace.
    assert "activation_patching" not in analyses_for(("subject",))


def test_the_command_line_takes_the_subject(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["analyze", "--text", "The capital of France is", "-a", "activation_patching"]
    assert main([*words, "--subject", "France", "-p", "noise=2", "-f", "json"]) == 0
    result = json.loads(capsys.readouterr().out)["results"][0]
    assert result["params"]["noise"] == 2.0
    marked = [result["axes"][1]["labels"][at] for at in result["params"]["subject"]]
    assert "".join(marked).strip() == "France"
    at = ",".join(map(str, result["params"]["subject"]))
    assert main([*words, "--subject", at, "-p", "noise=2", "-f", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["values"] == result["values"]
    assert main(words) == 2
    assert "--subject" in capsys.readouterr().err


def test_the_patcher_takes_a_subject_and_exchanges_subjects() -> None:
    lm = tiny_lm()
    with ActivationPatcher(lm.model, lm.tokenizer) as patcher:
        assert patcher.patch(CLEAN, subject=SUBJECT).params["subject"] == [1, 2]
        first, second = "The keys to the cabinet are", "Mary went to the table in"
        assert patcher.swap_subjects(first, second, "cabinet", "table") == (
            "The keys to the table are",
            "Mary went to the cabinet in",
        )
