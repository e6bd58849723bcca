"""Causal tracing: its identities, and each cell against a plain hooked forward."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.errors import BadParameter
from interpboard.patching.causal_tracing import causal_trace
from interpboard.patching.subject import subject_positions
from interpboard.runs.noise import embedding_deviation, embedding_noise
from interpboard.runs.prompt import input_ids
from tests.lm import TEXT, case, fingerprint, tiny_lm

FAMILIES = pytest.mark.parametrize("family", ["gpt2", "llama", "falcon", "gemma3"])
SUBJECT = "Eiffel Tower"


@FAMILIES
def test_without_noise_nothing_is_lost_and_nothing_restored(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64, name="prob")
    result = causal_trace(lm, prompt, metric, subject=SUBJECT, noise=0.0, samples=2)
    np.testing.assert_allclose(result.values, 0, atol=1e-7)
    assert float(result.extra["corrupted"].values) == pytest.approx(metric.baseline, abs=1e-7)


@FAMILIES
@pytest.mark.parametrize("state", ["resid", "mlp", "attn"])
def test_each_sample_is_a_plain_forward_with_noise_and_the_clean_state_back(
    family: str, state: str
) -> None:
    lm, prompt, metric = case(family, torch.float64, name="logprob")
    layer, position, window = 1, 7, 2
    result = causal_trace(
        lm, prompt, metric, subject=SUBJECT, state=state, samples=2, window=window, seed=5
    )
    parts = {"resid": lm.anatomy.layers, "mlp": lm.anatomy.mlp_out, "attn": lm.anatomy.attn_out}
    modules = [parts[state][i] for i in ([layer] if state == "resid" else [0, 1])]
    ids = input_ids(lm, prompt)
    noise = embedding_noise(lm, (1, 2), 3.0, 2, 5)[1][0].value.double()
    kept = {}

    def keep(module, _args, out):
        kept[module] = (out[0] if isinstance(out, tuple) else out).clone()

    def put(module, _args, out):
        value = (out[0] if isinstance(out, tuple) else out).clone()
        value[0, position] = kept[module][0, position]
        return (value, *out[1:]) if isinstance(out, tuple) else value

    def drown(_module, _args, out):
        out = out.clone()
        out[0, [1, 2]] += noise
        return out

    with torch.no_grad():
        handles = [module.register_forward_hook(keep) for module in modules]
        lm.model(input_ids=ids)
        [handle.remove() for handle in handles]
        drowning = lm.anatomy.embedding.register_forward_hook(drown)
        noised = float(metric.of(lm.model(input_ids=ids).logits[:, -1])[0])
        handles = [module.register_forward_hook(put) for module in modules]
        restored = float(metric.of(lm.model(input_ids=ids).logits[:, -1])[0])
        [handle.remove() for handle in (*handles, drowning)]
    effect = result.extra["per_sample"].values[1, layer, position]
    assert effect == pytest.approx(restored - noised, abs=1e-6)
    assert abs(restored - noised) > 1e-4


def test_the_last_state_of_the_last_layer_restores_everything() -> None:
    lm, prompt, metric = case("llama", torch.float64, name="prob")
    before = fingerprint(lm)
    result = causal_trace(lm, prompt, metric, subject=(1, 2), samples=3)
    np.testing.assert_allclose(
        result.values[-1, -1], float(result.extra["total_effect"].values), atol=1e-9
    )
    np.testing.assert_allclose(result.extra["recovered"].values[-1, -1], 1, atol=1e-6)
    np.testing.assert_allclose(result.values[-1, :-1], 0, atol=1e-9)
    np.testing.assert_allclose(result.values[:, 0], 0, atol=1e-9)  # before the subject
    np.testing.assert_allclose(result.values, result.extra["per_sample"].values.mean(0))
    np.testing.assert_allclose(
        result.extra["spread"].values, result.extra["per_sample"].values.std(0)
    )
    assert fingerprint(lm) == before


def test_the_same_seed_gives_the_same_result_and_another_one_does_not() -> None:
    lm, prompt, metric = case(name="prob")
    first, again, other = (
        causal_trace(lm, prompt, metric, subject=SUBJECT, samples=2, seed=seed).values
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-6


def test_noise_is_scaled_by_the_deviation_of_the_embeddings() -> None:
    lm = tiny_lm("gemma2")  # whose embedding module scales what it holds
    everything = lm.anatomy.embedding(torch.arange(lm.anatomy.d_vocab)).double()
    assert embedding_deviation(lm) == pytest.approx(float(everything.std(correction=0)), rel=1e-6)
    noise = torch.stack([s[0].value for s in embedding_noise(lm, range(50), 3.0, 8, 0)])
    assert float(noise.std()) == pytest.approx(3 * float(everything.std()), rel=0.02)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Eiffel Tower", (1, 2)),
        (" Eiffel Tower", (1, 2)),
        ("iffel Tow", (1, 2)),
        (["Eiffel", "Tower"], (1, 2)),
        ([" Eiffel", " Tower"], (1, 2)),
        ([2, 1], (1, 2)),
        (["Eiffel"], (1,)),
        ("The", (0,)),
    ],
)
def test_a_subject_is_found_as_text_words_or_positions(subject, expected) -> None:
    prompt = case(text=TEXT)[1]
    assert subject_positions(prompt, subject) == expected


@pytest.mark.parametrize("subject", ["Louvre", "", [], ["Tower", "Eiffel"], "  "])
def test_a_subject_that_is_not_there_is_refused(subject) -> None:
    with pytest.raises(BadParameter):
        subject_positions(case(text=TEXT)[1], subject)
