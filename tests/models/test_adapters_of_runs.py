"""A recorded run is of the adapters that were at work, and of no others."""

from __future__ import annotations

import pytest
import torch

from interpboard.analyze import analyze
from interpboard.models.adapters import adapted_layers, without_adapters
from interpboard.models.language_model import open_model
from interpboard.results import MetricRequest
from interpboard.runs.clean_runs import CleanRuns
from interpboard.runs.finite import prompt_logits
from interpboard.runs.prompt import make_prompt
from interpboard.runs.shared import as_it_is, sharing
from interpboard.runs.together import Together
from tests.lm import TEXT
from tests.models.folders import saved
from tests.models.test_adapters import lora


def test_the_prompts_run_with_an_adapter_is_not_taken_for_one_without() -> None:
    """Nothing is hung in the model and no weight is another where an adapter is switched, chosen, scaled or
    merged."""
    lm, base = open_model(saved("llama"), "cpu", adapters=lora()), open_model(saved("llama"), "cpu")
    params = {"what_if": {"interventions": "adapter=off; 1.2=mean"}}
    names = ["what_if", "compare_ablations"]  # the second reads the heads of the clean run
    found = analyze(lm, TEXT, names, MetricRequest(target="#37"), params).results[0]
    of_base = {"what_if": {"interventions": "1.2=mean"}}
    expected = analyze(base, TEXT, ["what_if"], MetricRequest(target="#37"), of_base).results[0]
    assert found.values[1] == pytest.approx(expected.values[1], abs=1e-5)

    prompt = make_prompt(lm, TEXT)
    for shared in (CleanRuns(lm), Together(lm, [prompt])):
        with sharing(shared):
            on = prompt_logits(lm, prompt, -1)
            run = shared.run(lm, prompt, ())
            assert run is not None
            with without_adapters(lm.model):
                assert shared.run(lm, prompt, ()) is None
                off = prompt_logits(lm, prompt, -1)
            assert shared.run(lm, prompt, ()) is not None
        torch.testing.assert_close(off, prompt_logits(base, prompt, -1), rtol=0, atol=1e-5)
        assert not torch.allclose(on, off, atol=1e-2)
    layers = [module for _, module in adapted_layers(lm.model)]
    before = as_it_is(lm.model)
    layers[0].set_scale(layers[0].active_adapters[0], 2.0)
    assert as_it_is(lm.model) != before
    before = as_it_is(lm.model)
    layers[1].merge()
    assert as_it_is(lm.model) != before
