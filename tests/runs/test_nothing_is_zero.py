"""Where an edit changes nothing the effect is 0, not what the order of sums has left (−6e-7)."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch

from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.heads.compare import compare_ablations
from interpboard.interventions.what_if import what_if
from interpboard.models.language_model import LanguageModel
from interpboard.patching.activation import activation_patching
from interpboard.patching.causal_tracing import causal_trace
from interpboard.patching.confidence import patching_confidence
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.lm import TEXT, case
from tests.tiny import tiny_model, tiny_tokenizer

CORRUPTED = TEXT.replace("Eiffel", "Paris")
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
METRICS = pytest.mark.parametrize("metric", ["logit", "prob"])


@DTYPES
@METRICS
def test_a_state_of_the_last_layer_at_another_position_restores_nothing(
    dtype: torch.dtype, metric: str
) -> None:
    lm, prompt, of = case("llama", dtype, name=metric)
    result = causal_trace(lm, prompt, of, subject="Eiffel Tower", samples=4)
    assert (result.values[-1, :-1] == 0).all()
    assert (result.extra["recovered"].values[-1, :-1] == 0).all()
    assert (result.values[:-1] != 0).any()
    assert result.values[-1, -1] != 0


@DTYPES
@pytest.mark.parametrize(("direction", "nothing"), [("denoising", 0.0), ("noising", 1.0)])
def test_patching_it_leaves_the_run_as_it_was(
    dtype: torch.dtype, direction: str, nothing: float
) -> None:
    lm, prompt, of = case("llama", dtype)
    result = activation_patching(lm, prompt, of, corrupted=CORRUPTED, direction=direction)
    assert (result.values[-1, :-1] != nothing).any()  # the stream before the last layer is read
    result = activation_patching(
        lm, prompt, of, corrupted=CORRUPTED, direction=direction, site="mlp_out"
    )
    assert (result.values[-1, :-1] == nothing).all()
    pairs = [
        ("A Eiffel Tower is located in the city of", "A Paris Tower is located in the city of")
    ]
    several = patching_confidence(
        lm, prompt, of, corrupted=CORRUPTED, pairs=pairs, direction=direction, site="mlp_out",
        resamples=10,
    )  # fmt: skip
    assert (several.values[-1, :-1] == 0).all()


@DTYPES
def test_a_head_that_writes_nothing_has_no_effect(dtype: torch.dtype) -> None:
    model = deepcopy(tiny_model("llama", dtype))
    heads = model.config.num_attention_heads
    width = model.model.layers[0].self_attn.o_proj.weight.shape[1] // heads
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[:, :width] = 0.0
    lm = LanguageModel.of(model, tiny_tokenizer(), "one head of each layer is silent")
    prompt = make_prompt(lm, TEXT)
    of = resolve_metric(lm, prompt, MetricRequest())
    result = head_ablation(lm, prompt, of)
    assert (result.values[:, 0] == 0).all()
    assert (result.values[:, 1:] != 0).all()
    compared = compare_ablations(lm, prompt, of, components="0.0,1.0", strategies=("zero", "mean"))
    assert (compared.values == 0).all()
    assert (compared.extra["together"].values == 0).all()
    tried = what_if(lm, prompt, of, interventions="0.0=zero; 1.0=zero")
    assert float(tried.extra["effect"].values) == 0
    assert (tried.extra["alone"].values == 0).all()


def test_in_sixteen_bits_a_number_stays_what_it_is() -> None:
    _, _, of = case("llama", torch.bfloat16)
    step = of.baseline * (1 + torch.finfo(torch.bfloat16).eps)
    assert of.unless_rounding(np.array([step, np.nan]), of.baseline)[0] == step
