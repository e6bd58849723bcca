"""Neurons: contributions that add up, activations that were there, tokens that a unit really moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.circuits import NeuronAnalyzer
from interpboard.circuits.neurons.contributions import neurons
from interpboard.errors import BadParameter, Unsupported
from interpboard.runs.record import record
from tests.lm import TEXT, case, fingerprint


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", ["gpt2", "llama", "phi3"])
def test_activation_times_the_effect_of_a_unit_is_the_contribution(family: str, dtype) -> None:
    lm, prompt, metric = case(family, dtype, target="a")
    before = fingerprint(lm)
    run = record(lm, prompt, ("neuron",))
    for layer, index in ((0, 3), (2, 17)):
        result = neurons(lm, prompt, metric, neuron=f"{layer}.{index}", top_k=10**6)
        active = run.sites["neuron"][layer][0, :, index]
        np.testing.assert_allclose(result.extra["along"].values, active.double().numpy())
        assert result.extra["activation"].values[layer, index] == pytest.approx(float(active[-1]))
        tokens = result.extra["promoted"].values.tolist()
        unit = result.extra["promoted_by"].values[tokens.index("a")]
        expected = float(active[-1]) * unit
        assert result.values[layer, index] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert fingerprint(lm) == before


def test_chosen_layers_are_the_rows_of_all_and_the_neuron_may_be_of_another() -> None:
    lm, prompt, metric = case("gpt2")
    every = neurons(lm, prompt, metric, neuron="0.3")
    some = neurons(lm, prompt, metric, neuron="0.3", layers=[2, 0])
    assert some.axes[0].labels == ("2", "0")
    np.testing.assert_array_equal(some.values, every.values[[2, 0]])
    for name, array in every.extra.items():
        rows = array.values[[2, 0]] if name == "activation" else array.values
        np.testing.assert_array_equal(some.extra[name].values, rows)
    with pytest.raises(BadParameter, match="no layer 9"):
        neurons(lm, prompt, metric, layers=[9])


def test_promoted_tokens_come_first_and_suppressed_ones_last() -> None:
    lm, prompt, metric = case("llama")
    result = neurons(lm, prompt, metric, neuron="1.5", top_k=4)
    up, down = result.extra["promoted_by"].values, result.extra["suppressed_by"].values
    assert (np.diff(up) <= 0).all()
    assert (np.diff(down) >= 0).all()
    assert up.min() > down.max()
    assert result.extra["promoted"].values.shape == (4,)


def test_a_gated_neuron_is_gate_times_up() -> None:
    lm, prompt, _ = case("llama", torch.float64)
    mlp, seen = lm.anatomy.mlp[1], []
    handle = mlp.register_forward_pre_hook(lambda _m, args: seen.append(args[0]))
    with NeuronAnalyzer(lm.model, lm.tokenizer) as analyzer:
        seen.clear()
        found = analyzer.activations(TEXT, 1)
        result = analyzer.analyze(TEXT)
    handle.remove()
    with torch.no_grad():
        expected = mlp.act_fn(mlp.gate_proj(seen[0])) * mlp.up_proj(seen[0])
    np.testing.assert_allclose(found.values, expected[0].numpy(), atol=1e-9)
    assert found.axes[0].labels == prompt.tokens
    np.testing.assert_allclose(result.extra["activation"].values[1], found.values[-1])


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("3.0", "Layer 3 does not"),
        ("1.128", "has 0 to 127"),
        ("1", "names no"),
        ("1.-2", "names no"),
    ],
)
def test_a_neuron_that_is_not_there_is_refused(name: str, complaint: str) -> None:
    lm, prompt, metric = case("gpt2")
    with pytest.raises(BadParameter, match=complaint):
        neurons(lm, prompt, metric, neuron=name)


def test_where_a_neuron_speaks_for_no_fixed_tokens_it_is_said() -> None:
    lm, prompt, metric = case("gemma2")
    assert np.isfinite(neurons(lm, prompt, metric).values).all()
    with pytest.raises(Unsupported, match="norms what MLPs add"):
        neurons(lm, prompt, metric, neuron="1.2")
