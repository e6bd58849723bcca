"""What must hold of interventions between two runs, whatever the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.models.language_model import LanguageModel
from interpboard.models.sites import SITES
from interpboard.patching.activation import activation_patching
from interpboard.patching.causal_tracing import causal_trace
from interpboard.runs.edits import Edit
from interpboard.runs.noise import embedding_noise
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.record import CLEAN as CLEAN_ROW
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.lm import TOLERANCE, case
from tests.patching.test_activation import CLEAN, CORRUPTED, FIRST

FAMILIES = pytest.mark.parametrize(
    "family", ["gpt2", "llama", "qwen3", "gemma2", "falcon", "bloom", "mistral_windowed"]
)
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def _tolerance(family: str, dtype: torch.dtype) -> dict[str, float]:
    wide = dtype == torch.float64 and family in ("falcon", "bloom", "gemma2")  # float32 inside
    return {"rtol": 1e-6, "atol": 1e-6} if wide else TOLERANCE[dtype]


@torch.no_grad()
def _plain(lm: LanguageModel, metric, prompt) -> float:
    logits = lm.model(input_ids=input_ids(lm, prompt)).logits[:, metric.info.position]
    return float(metric.of(logits)[0])


@FAMILIES
@DTYPES
@pytest.mark.parametrize("site", ["resid_pre", "resid_post"])
def test_a_whole_layer_of_the_donor_gives_the_donors_prediction(
    family: str, dtype: torch.dtype, site: str
) -> None:
    lm, prompt, _ = case(family, dtype, text=CLEAN)
    other = make_prompt(lm, CORRUPTED)
    donor = record(lm, other, (site,))
    edits = [(Edit(site, layer, "patch", value=donor.sites[site][layer][0]),) for layer in range(3)]
    for request in ({"name": "logprob"}, {"name": "logit", "position": FIRST}):
        metric = case(family, dtype, text=CLEAN, **request)[2]
        values = evaluate(record(lm, prompt), edits, metric)
        expected = _plain(lm, metric, other)
        np.testing.assert_allclose(values, expected, **_tolerance(family, dtype))
        assert abs(expected - metric.baseline) > 1e-3


@FAMILIES
@DTYPES
def test_restoring_every_noised_embedding_is_the_clean_run(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric = case(family, dtype, name="logprob")
    where = (1, 2, 4)
    noise = embedding_noise(lm, where, 3.0, 4, 0)
    run = record(lm, prompt, ("embed",), (*CLEAN_ROW, *noise))
    clean = run.sites["embed"][0][0]
    whole = (Edit("embed", 0, "patch", None, where, clean[list(where)]),)
    part = (Edit("embed", 0, "patch", None, where[:2], clean[list(where[:2])]),)
    values = evaluate(run, [whole] * 4 + [part] * 4, metric, base=[1, 2, 3, 4] * 2)
    np.testing.assert_allclose(values[:4], metric.baseline, **_tolerance(family, dtype))
    assert (np.abs(values[4:] - metric.baseline) > 1e-4).all()


@FAMILIES
def test_no_site_before_the_first_difference_carries_anything(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64, text=CLEAN, name="logprob")
    donor = record(
        lm, make_prompt(lm, CORRUPTED), [site for site in SITES if site in lm.verified.sites]
    )
    before = tuple(range(FIRST))
    edits = [
        (Edit(site, layer, "patch", None, before, value[0][:FIRST]),)
        for site, values in donor.sites.items()
        for layer, value in enumerate(values)
    ]
    assert len(edits) > 15
    values = evaluate(record(lm, prompt), edits, metric)
    np.testing.assert_allclose(values, metric.baseline, atol=1e-9)


@FAMILIES
def test_a_runs_own_activations_put_back_change_nothing(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64, text=CLEAN, name="logprob")
    run = record(lm, prompt, [site for site in SITES if site in lm.verified.sites])
    edits = [
        (Edit(site, layer, "patch", value=value[0]),)
        for site, values in run.sites.items()
        for layer, value in enumerate(values)
    ]
    np.testing.assert_allclose(evaluate(run, edits, metric), metric.baseline, atol=1e-9)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@DTYPES
def test_noise_of_zero_is_the_clean_probability_in_every_state(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric = case(family, dtype, name="prob")
    for state in ("resid", "mlp", "attn"):
        result = causal_trace(lm, prompt, metric, subject=(1, 2), noise=0.0, samples=2, state=state)
        corrupted = float(result.extra["corrupted"].values)
        assert corrupted == pytest.approx(metric.baseline, abs=1e-6)
        np.testing.assert_allclose(result.values, 0, **TOLERANCE[dtype])


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
@DTYPES
def test_the_last_block_restored_before_the_end_does_nothing(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric = case(family, dtype, text=CLEAN, name="logprob")
    for site in ("resid_post", "mlp_out"):
        result = activation_patching(lm, prompt, metric, corrupted=CORRUPTED, site=site)
        corrupted = float(result.extra["corrupted"].values)
        at_base = result.extra["metric"].values[-1, :-1] - corrupted
        np.testing.assert_allclose(at_base, 0, atol=TOLERANCE[dtype]["atol"] * 10)
