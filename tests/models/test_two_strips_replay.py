"""Encoder–decoders are replayed from the first edit: values of hooked forwards, and no layer too many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.models.language_model import LanguageModel
from interpboard.results import MetricRequest
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.gradients.sites import gradients_by_layer
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import record
from interpboard.runs.replay import evaluate
from tests.strips import FAMILIES, TEXT, strips_lm, strips_model
from tests.tiny import tiny_tokenizer

# E0 E1 D0 X0 D1 X1; the source's positions are 0 to 4.
LAYERS = range(6)
CASES = [*((f, torch.float64) for f in FAMILIES), ("t5", torch.float32), ("bart", torch.float32)]


def _edits(d_model: int) -> list[Counterfactual]:
    """Of every site, group and strip, and several at once."""
    value = torch.linspace(-1, 1, d_model)
    rows: list[Counterfactual] = [
        *((Edit(site, layer, "zero", 1),) for site in ("z", "q", "k", "v") for layer in LAYERS),
        *((Edit("pattern", layer, "zero", 0),) for layer in LAYERS),
        *((Edit(site, layer, "add", value=value),)
          for site in ("resid_pre", "attn_out", "resid_post") for layer in LAYERS),
        *((Edit(site, layer, "add", None, (at,), value),)
          for site in ("resid_mid", "mlp_out") for layer, at in ((0, 2), (1, 4), (3, 5), (5, 6))),
        *((Edit("neuron", layer, "zero", neuron=3),) for layer in (0, 1, 3, 5)),
        (Edit("pattern", 3, "block", positions=(6, 7), keys=(1, 2)),),
        *((Edit("embed", 0, "zero", positions=at),) for at in ((1,), (6,), (1, 6), None)),
        (Edit("embed", 0, "zero", positions=(6,)), Edit("z", 1, "zero", 0)),
        (Edit("embed", 0, "zero", positions=(6,)), Edit("resid_post", 4, "zero", positions=(7,))),
        (Edit("z", 0, "zero", 0), Edit("z", 5, "zero", 1)),
        (Edit("resid_post", 1, "zero", positions=(3,)), Edit("resid_pre", 2, "zero", positions=(6,))),
    ]  # fmt: skip
    return rows


def _by_hooks(lm: LanguageModel) -> LanguageModel:
    return replace(lm, verified=replace(lm.verified, path="hooks"))


@pytest.mark.parametrize(("family", "dtype"), CASES)
def test_a_replayed_edit_is_a_whole_forward_with_it(family: str, dtype: torch.dtype) -> None:
    lm = strips_lm(family, dtype)
    assert lm.verified.path == "replay"
    assert not lm.verified.notes
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    rows = _edits(lm.anatomy.d_model)
    found, expected = (evaluate(record(each, prompt), rows, metric) for each in (lm, _by_hooks(lm)))
    exact = 1e-5 if dtype == torch.float32 else 1e-10
    np.testing.assert_allclose(found, expected, rtol=exact, atol=exact)
    assert len(np.unique(found.round(6))) > len(rows) * 2 / 3


def test_a_stream_in_another_format_than_the_states_is_replayed() -> None:
    """T5 in float16 keeps the last map of its MLPs, and so its stream, in float32."""
    model = strips_model("t5", torch.float16)
    for stack in (model.encoder, model.decoder):
        for block in stack.block:
            block.layer[-1].DenseReluDense.wo.float()
    lm = LanguageModel.of(model, tiny_tokenizer())
    assert lm.verified.path == "replay"
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    rows: list[Counterfactual] = [(Edit("z", layer, "zero", 0),) for layer in LAYERS]
    found, expected = (evaluate(record(each, prompt), rows, metric) for each in (lm, _by_hooks(lm)))
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert np.abs(expected - metric.baseline).max() > 0.05


def test_rows_start_from_edited_runs_too() -> None:
    """A cell of a trace: noise on the source, and one clean state of the decoder put back."""
    lm = strips_lm("t5", torch.float64)
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    noise = torch.linspace(-2, 2, lm.anatomy.d_model, dtype=torch.float64)
    noisy: list[Counterfactual] = [
        (),
        (Edit("embed", 0, "add", positions=(1, 2), value=noise),),
        (Edit("z", 1, "zero", 0), Edit("embed", 0, "add", positions=(1,), value=-noise)),
    ]
    rows: list[Counterfactual] = [
        (Edit("resid_post", layer, "add", None, (at,), noise),)
        for layer, at in ((0, 1), (2, 6), (3, 7))
    ]
    rows.append((Edit("embed", 0, "zero", positions=(6,)),))
    base = [b for b in range(3) for _ in rows]
    found, expected = (
        evaluate(record(each, prompt, edits=noisy), rows * 3, metric, base=base)
        for each in (lm, _by_hooks(lm))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert len(np.unique(found.round(9))) > 8


@pytest.mark.parametrize("site", ["resid_pre", "z", "mlp_out", "embed"])
@pytest.mark.parametrize("family", ["t5", "mbart"])
def test_gradients_a_layer_at_a_time_are_those_of_whole_passes(family: str, site: str) -> None:
    """Through the states into the encoder too: of them no kept keys and values are used."""
    lm = strips_lm(family, torch.float64)
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    one, other = (
        list(gradients_by_layer(each, prompt, metric, site, without=((), (5,))).layers)
        for each in (lm, _by_hooks(lm))
    )
    assert [each.layer for each in one] == [each.layer for each in other]
    for a, b in zip(one, other, strict=True):
        for mine, theirs in zip(a.gradients, b.gradients, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-8, atol=1e-10)
        assert site == "mlp_out" or bool(a.gradients[0].any())


@contextmanager
def _counted(lm: LanguageModel) -> Iterator[dict[str, int]]:
    """How many rows each block computes, and each map from states to keys of a cross attention."""
    counts: dict[str, int] = {}
    handles = []

    def count(name: str) -> Any:
        def hook(_module: Any, args: Any, _out: Any) -> None:
            counts[name] = counts.get(name, 0) + len(args[0])

        return hook

    for group, stack in (("E", lm.model.get_encoder()), ("D", lm.model.get_decoder())):
        for number, block in enumerate(stack.layers):
            handles.append(block.fc2.register_forward_hook(count(f"{group}{number} MLP")))
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.usefixtures("changed_on_purpose")
def test_what_an_edit_does_not_touch_is_not_run_again() -> None:
    lm = strips_lm("bart", torch.float64)
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    run = record(lm, prompt)
    with _counted(lm) as counts:
        evaluate(run, [(Edit("z", layer, "zero", 0),) for layer in (4, 5, 5)], metric)
    assert counts == {"D1 MLP": 3}
    with _counted(lm) as counts:
        evaluate(run, [(Edit("embed", 0, "zero", positions=(6,)),)], metric)
    assert counts == {"D0 MLP": 1, "D1 MLP": 1}
    with _counted(lm) as counts:
        evaluate(run, [(Edit("z", layer, "zero", 0),) for layer in (1, 1, 3)], metric)
    assert counts == {"E1 MLP": 2, "D0 MLP": 3, "D1 MLP": 3}


@pytest.mark.usefixtures("changed_on_purpose")
def test_keys_and_values_of_clean_states_are_made_once() -> None:
    lm = strips_lm("bart", torch.float64)
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    run = record(lm, prompt)
    keys = lm.model.get_decoder().layers[1].encoder_attn.k_proj
    weight, rows = keys.weight, []
    original = keys.forward

    def counting(states: torch.Tensor) -> torch.Tensor:
        rows.append(len(states))
        return original(states)

    keys.forward = counting
    try:
        edits = [(Edit("z", layer, "zero", 0),) for layer in (1, 2, 3, 4, 5)]
        evaluate(run, edits, metric)
        evaluate(run, edits, metric)
    finally:
        del keys.forward
    assert rows == [1, 1, 1]  # those that were recorded, and of the edited encoder twice
    assert keys.weight is weight


def test_where_a_replay_would_be_wrong_it_is_switched_off_and_named() -> None:
    """A decoder that looks at the source's embedding past all that its layers are handed."""
    model = strips_model("t5", torch.float64)
    kept: list[torch.Tensor] = []
    model.encoder.block[0].register_forward_pre_hook(
        lambda _m, args: kept.append(args[0].mean(1, keepdim=True))
    )
    model.decoder.block[1].register_forward_pre_hook(
        lambda _m, args: (args[0] + kept[-1], *args[1:])
    )
    lm = LanguageModel.of(model, tiny_tokenizer())
    assert lm.verified.path == "hooks"
    assert "layers cannot be replayed exactly: plain hooked forwards are used" in lm.verified.notes
