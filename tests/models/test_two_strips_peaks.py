"""How active the neurons of an encoder are in the source, against its plain modules."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from interpboard.circuits.neurons.contributions import neurons
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.strips import TEXT, Plain, strips_lm


@pytest.mark.parametrize("family", ["t5", "mt5", "bart", "pegasus"])
def test_a_neuron_of_the_encoder_has_its_peak_in_the_source(family: str) -> None:
    lm = strips_lm(family, torch.float64)
    prompt = make_prompt(lm, TEXT)
    found = neurons(lm, prompt, resolve_metric(lm, prompt, MetricRequest()))
    plain = Plain(lm, prompt)
    seen: list[torch.Tensor] = []
    for block in plain.above:
        module = block.layer[-1].DenseReluDense.wo if plain.sublayers else block.fc2
        handle = module.register_forward_pre_hook(lambda _m, args: seen.append(args[0][0].detach()))
        plain.logits()
        handle.remove()
    peak, at = found.extra["peak"].values, found.extra["peak_at"].values
    for row, active in enumerate(seen):
        where = active.abs().argmax(0)
        np.testing.assert_array_equal(at[row], where)
        np.testing.assert_allclose(peak[row], active[where, torch.arange(len(where))], rtol=1e-6)
    assert np.isnan(peak[2:]).all()
    assert (at[2:] == -1).all()
    one = neurons(lm, prompt, resolve_metric(lm, prompt, MetricRequest()), layers=[1])
    np.testing.assert_array_equal(one.extra["peak"].values[0], peak[1])
