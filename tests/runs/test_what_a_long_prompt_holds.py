"""Of a long prompt is kept what is read, where it is read, and what is freed goes back to the system."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
import torch

from interpboard.circuits.direct import attribution
from interpboard.circuits.direct.attribution import direct_logit_attribution, record_writing
from interpboard.circuits.neurons.contributions import neurons
from interpboard.runs import steps
from interpboard.runs.edits import Edit
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.forks import program
from tests.lm import case


def test_neurons_and_gradients_of_a_long_prompt_hold_one_layer_at_a_time() -> None:
    ended = subprocess.run(
        program("tests.runs.peaks"), capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr[-1500:]
    for name, peak in json.loads(ended.stdout).items():
        if peak is not None:  # nobody says elsewhere than on Linux
            # A grid keeps its blocks until it is done, 70 to 330 MiB of them as the steps fell out.
            most = 400 if name == "shapley" else 160
            assert peak < most * 2**20, name  # kept whole, neurons took 237, saliency 792 MiB


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_direct_attribution_keeps_the_positions_it_reads(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompt, metric = case(family)
    wide = direct_logit_attribution(lm, prompt, metric, neurons=True)
    monkeypatch.setattr(attribution, "_PROVED_AT", 2)
    run = record_writing(lm, prompt, metric)
    assert {value.shape[1] for values in run.sites.values() for value in values} == {2}
    assert run.attended == ()
    narrow = direct_logit_attribution(lm, prompt, metric, neurons=True)
    assert np.array_equal(narrow.values, wide.values)
    assert np.array_equal(narrow.extra["neurons"].values, wide.extra["neurons"].values)


@pytest.mark.parametrize("family", ["gpt2", "llama", "opt"])
def test_a_neuron_along_the_prompt_is_what_the_whole_recording_says(family: str) -> None:
    lm, prompt, metric = case(family)
    found = neurons(lm, prompt, metric, neuron="1.5")
    whole = record(lm, prompt, ("neuron",)).sites["neuron"]
    assert np.array_equal(found.extra["along"].values, whole[1][0, :, 5].double().numpy())
    for layer, row in enumerate(found.extra["activation"].values):
        assert np.array_equal(row, whole[layer][0, metric.info.position].double().numpy())


def test_without_attention_kept_an_edit_behind_it_gives_the_same() -> None:
    lm, prompt, metric = case()
    edits = [(Edit("z", 1, "zero", 2),), (Edit("embed", 0, "zero", positions=(2,)),)]
    kept = evaluate(record(lm, prompt), edits, metric)
    bare = record(lm, prompt, behind_attention=False)
    assert bare.keeper.on_device < record(lm, prompt).keeper.on_device
    assert np.allclose(evaluate(bare, edits, metric), kept, atol=1e-5)


def test_keys_of_all_layers_are_not_kept_to_spare_few_positions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt, metric = case("llama", torch.float64)
    last = metric.info.position
    early = [(Edit("resid_post", 0, "zero", positions=(1,)),), (Edit("z", 1, "zero", 2, (1,)),)]
    late = [*early, (Edit("mlp_out", 0, "zero", positions=(last - 1,)),)]
    keeping = record(lm, prompt)
    expected = evaluate(keeping, early, metric), evaluate(keeping, late, metric)
    assert any(call.keys_values for call in keeping.calls)
    monkeypatch.setattr(steps, "keeps_all_keys", lambda *_: False)
    bare = record(lm, prompt)
    assert np.allclose(evaluate(bare, early, metric), expected[0], rtol=1e-9)
    assert not any(call.keys_values for call in bare.calls)
    # One that spares most of them is worth the keys.
    assert np.allclose(evaluate(bare, late, metric), expected[1], rtol=1e-9)
    assert any(call.keys_values for call in bare.calls)
    assert np.abs(expected[1] - metric.baseline).min() > 1e-4


def test_blocks_of_rows_that_fill_a_step_are_not_kept_to_be_taken_again() -> None:
    lm, _, _ = case()
    size = steps.StepSize(lm, None)
    half = size.most // 2
    assert size.largest_block(half, half) == half * size.widest > 0
    assert size.largest_block(10 * size.most, half) == size.most * size.widest
    assert size.largest_block(10 * size.most, half + 1) == 0
