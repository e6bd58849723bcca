"""What parts write in an edited run: against runs that are edited and taken apart by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.circuits.direct.attribution import direct_logit_attribution
from interpboard.errors import Unsupported
from interpboard.interventions.edited_direct import edited_direct_attribution
from interpboard.interventions.what_if import what_if
from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest, Result
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.lm import case, fingerprint
from tests.tiny import tiny_model, tiny_tokenizer

# RMSNorm works in float32 in every model, hence the second figure.
CLOSE = {torch.float32: 4e-6, torch.float64: 2e-7}
OTHER = "The Eiffel Tower is located in the city on"
HELD = (
    "1.2=zero; 0.mlp=mean",
    '@2=" on"',
    "1.resid@3-8=patch; 2.1=zero",
    "1.attn=mean; 2.attn@8=zero",
)


def of_edited(result: Result, component: str) -> float:
    return float(result.values[result.axes[0].labels.index(component), 1])


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("family", ["gpt2", "llama", "granite", "gemma3"])
def test_both_runs_sum_to_their_metric_and_the_clean_one_is_taken_apart_as_ever(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric = case(family, dtype)
    before, alone = fingerprint(lm), direct_logit_attribution(lm, prompt, metric)
    for held in HELD:
        result = edited_direct_attribution(lm, prompt, metric, interventions=held, source=OTHER)
        whole = what_if(lm, prompt, metric, interventions=held, source=OTHER)
        np.testing.assert_allclose(result.values.sum(0), whole.values, atol=CLOSE[dtype])
        effect = result.extra["effect"].values.sum()
        np.testing.assert_allclose(effect, whole.extra["effect"].values, atol=CLOSE[dtype])
        assert abs(effect) > 1e-4
        sums = result.extra["accumulated"]
        assert sums.axes[0].labels == ("embed", "0", "1", "2")
        np.testing.assert_allclose(sums.values[-1], whole.values, atol=CLOSE[dtype])
        of_clean = alone.extra["accumulated"].values
        np.testing.assert_allclose(sums.values[:, 0], of_clean, atol=CLOSE[dtype])
        assert (np.abs(sums.values[1:, 1] - of_clean[1:]) > 1e-5).any()
        clean = dict(zip(result.axes[0].labels, result.values[:, 0], strict=True))
        for name, value in zip(alone.axes[0].labels, alone.values, strict=True):
            assert clean.pop(name) == pytest.approx(value, abs=CLOSE[dtype])
        assert set(clean.values()) <= {0.0}  # edits, of which the clean run has none
    assert fingerprint(lm) == before


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_parts_of_the_edited_run_are_those_of_a_model_changed_by_hand(family: str) -> None:
    held, metric = tiny_model(family, torch.float64), None
    lm = LanguageModel.of(held, tiny_tokenizer(), "the model")
    prompt = make_prompt(lm, OTHER)
    metric = resolve_metric(lm, prompt, MetricRequest(target=" the"))
    result = edited_direct_attribution(lm, prompt, metric, interventions="1.2=zero; 0.mlp=zero")
    changed = tiny_model(family, torch.float64)
    other = LanguageModel.of(changed, tiny_tokenizer(), "changed by hand")
    width = (
        other.anatomy.out_proj[1].weight.shape[0 if family == "gpt2" else 1] // lm.anatomy.n_heads
    )
    with torch.no_grad():
        rows = slice(2 * width, 3 * width)
        weight = other.anatomy.out_proj[1].weight
        (weight if family == "gpt2" else weight.T)[rows] = 0.0
        for parameter in other.anatomy.down_proj[0].parameters():
            parameter.zero_()
    again = resolve_metric(other, prompt, MetricRequest(target=" the"))
    expected = direct_logit_attribution(other, prompt, again)
    labels = expected.axes[0].labels
    assert set(labels) <= set(result.axes[0].labels)
    for name, value in zip(labels, expected.values, strict=True):
        assert of_edited(result, name) == pytest.approx(value, abs=1e-9)
    assert of_edited(result, "L1 H2") == 0.0
    assert of_edited(result, "L0 MLP") == 0.0


def test_a_patched_stream_is_a_part_of_its_own_and_takes_the_place_of_those_below() -> None:
    lm, prompt, metric = case("llama", torch.float64)
    last = len(prompt.tokens) - 1
    result = edited_direct_attribution(lm, prompt, metric, interventions=f"1.resid@{last}=zero")
    below = [name for name in result.axes[0].labels if name[:2] in ("em", "L0", "L1")]
    assert "L1 edit" in below
    # The stream is zero there: all that was written up to it is taken back.
    assert sum(of_edited(result, name) for name in below) == pytest.approx(0.0, abs=1e-9)
    assert abs(of_edited(result, "L1 edit")) > 1e-3


def test_a_probability_is_refused() -> None:
    lm, prompt, metric = case("gpt2", name="prob")
    with pytest.raises(Unsupported, match="no sum of direct contributions"):
        edited_direct_attribution(lm, prompt, metric, interventions="1.2=zero")


@pytest.mark.parametrize("dtype", CLOSE, ids=str)
@pytest.mark.parametrize("held", ['@0="The"', "2.mlp@8=zero", "0.0=zero"])
def test_what_an_edit_leaves_as_it_is_has_no_effect_at_all(dtype: torch.dtype, held: str) -> None:
    lm, prompt, metric = case("gpt2", dtype, text="The city of")
    held = held.replace("@8", f"@{len(prompt.token_ids) - 2}")
    result = edited_direct_attribution(lm, prompt, metric, interventions=held)
    effect, size = result.extra["effect"].values, 1 + np.abs(result.values).max()
    least = {torch.float32: 1e-6, torch.float64: 1e-12}[dtype] * size
    assert not ((effect != 0) & (np.abs(effect) <= least)).any()
    if held != "0.0=zero":  # nothing that reaches the answer has changed
        assert set(effect.tolist()) == {0.0}
    assert np.array_equal(effect, result.values[:, 1] - result.values[:, 0])
