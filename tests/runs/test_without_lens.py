"""A model whose head cannot be called by itself: its numbers are its own all the same."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.circuits.discovery.wiring import find_wiring
from interpboard.errors import Unsupported
from interpboard.interventions.what_if import what_if
from interpboard.models.language_model import LanguageModel
from interpboard.patching.causal_tracing import causal_trace
from interpboard.results import MetricRequest
from interpboard.runs import row_logits as rows_module
from interpboard.runs.edits import Edit
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import CLEAN, record
from interpboard.runs.replay import evaluate
from interpboard.runs.row_logits import row_logits
from interpboard.runs.steps import StepSize
from tests.lm import TEXT, case
from tests.tiny import tiny_model, tiny_tokenizer


@lru_cache(maxsize=1)
def without_lens() -> LanguageModel:
    model = tiny_model()

    def other(_module: Any, _inputs: Any, out: torch.Tensor) -> torch.Tensor:
        return out + torch.arange(out.shape[-1]) / out.dim()  # the head alone is called in 2-d

    model.transformer.ln_f.register_forward_hook(other)
    lm = LanguageModel.of(model, tiny_tokenizer(), "without lens")
    assert not lm.verified.lens
    assert lm.verified.path == "hooks"
    return lm


def asked(**request: Any) -> tuple[Any, Any, Any]:
    lm = without_lens()
    prompt = make_prompt(lm, TEXT)
    return lm, prompt, resolve_metric(lm, prompt, MetricRequest(**request))


@pytest.mark.parametrize("lens", [True, False])
def test_the_logits_of_rows_are_those_of_plain_forwards(lens: bool) -> None:
    lm, prompt, metric = case() if lens else asked()
    edit = (Edit("z", 1, "zero", head=2),)
    run = record(lm, prompt, edits=(*CLEAN, edit))
    values = metric.of(row_logits(run, metric.info.position)).numpy()
    expected = [metric.baseline, *evaluate(record(lm, prompt), [edit], metric)]
    np.testing.assert_allclose(values, expected, rtol=2e-5, atol=2e-5)
    assert abs(values[1] - values[0]) > 1e-3


def test_without_noise_nothing_is_restored_and_a_what_if_is_the_evaluators() -> None:
    lm, prompt, metric = asked()
    result = causal_trace(lm, prompt, metric, subject="Eiffel", noise=0.0, samples=2)
    np.testing.assert_allclose(result.values, 0.0, atol=1e-4)
    assert float(result.extra["corrupted"].values) == pytest.approx(metric.baseline, rel=1e-5)
    held = what_if(lm, prompt, metric, interventions="0.1=zero")
    (expected,) = evaluate(record(lm, prompt), [(Edit("z", 0, "zero", head=1),)], metric)
    assert held.values[1] == pytest.approx(expected, rel=1e-5)


def test_circuits_refuse_it() -> None:
    with pytest.raises(Unsupported, match="unembedding"):
        find_wiring(without_lens())


def test_on_the_hooks_path_no_position_runs_in_vain_and_steps_are_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lm, prompt, metric = asked(position=2)
    assert not StepSize(lm, None).by_layer
    assert StepSize(lm, None).tokens == StepSize(lm, None).least
    lengths: list[int] = []
    forward = rows_module.forward_logits

    def seen(anatomy: Any, ids: torch.Tensor, position: int) -> torch.Tensor:
        lengths.append(ids.shape[1])
        return forward(anatomy, ids, position)

    monkeypatch.setattr(rows_module, "forward_logits", seen)
    cells = [(Edit("z", layer, "zero", head=1),) for layer in range(3)]
    evaluate(record(lm, prompt), cells, metric)
    assert set(lengths) == {3}
