"""In 16 bits an effect carries its rounding: how far the metric of the prompt is from itself."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
import torch
from msgspec.structs import replace as with_fields

from interpboard.circuits.heads.ablation import head_ablation
from interpboard.models.language_model import LanguageModel
from interpboard.patching.activation import activation_patching
from interpboard.results import Axis, LabelledArray, MetricRequest
from interpboard.results.intervals import rounding_of, unsure_entries, unsure_words
from interpboard.runs.clean_rounding import clean_rounding
from interpboard.runs.measured import MeasuredMetrics
from interpboard.runs.metrics import prompt_and_metric
from interpboard.runs.prompt import input_ids
from interpboard.visualization.export import csv_of
from tests import sample
from tests.lm import TEXT, case

OTHER = TEXT.replace("Eiffel", "Paris")
HALF = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize("name", ["logit", "logit_diff", "prob", "logprob"])
@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_it_is_what_plain_batches_of_the_prompt_differ_by_or_one_step_of_the_logits(
    dtype: torch.dtype, name: str
) -> None:
    foil = {"foil": "#5"} if name == "logit_diff" else {}
    lm, prompt, metric = case("llama", dtype, name=name, **foil)
    position = metric.info.position
    ids = input_ids(lm, prompt)

    def of(logits: torch.Tensor) -> torch.Tensor:  # written out anew
        wide, target = logits.float(), metric.target_id
        if name == "logit_diff":
            assert metric.info.foil is not None
            return wide[:, target] - wide[:, metric.info.foil.id]
        chosen = {"logit": wide, "prob": wide.softmax(-1), "logprob": wide.log_softmax(-1)}
        return chosen[name][:, target]

    with torch.no_grad():
        rows = [lm.model(ids.expand(n, -1)).logits[:, position] for n in (1, 2, 8)]
    values = torch.cat([of(logits) for logits in rows])
    read = [metric.target_id] + ([metric.info.foil.id] if metric.info.foil else [])
    step = torch.finfo(dtype).eps * float(rows[0][0, read].float().abs().max())
    if name == "prob":
        step *= float(values[0])
    spread = float(values.max() - values.min())
    assert clean_rounding(lm, prompt, metric) == pytest.approx(max(spread, step), rel=1e-5)


@pytest.mark.usefixtures("changed_on_purpose")
def test_it_is_measured_once_for_all_analyses_of_a_prompt_and_anew_for_another_metric() -> None:
    lm, prompt, metric = case("gpt2", torch.bfloat16)
    passes: list[int] = []
    handle = lm.anatomy.layers[0].register_forward_hook(lambda *_: passes.append(1))
    try:
        first = clean_rounding(lm, prompt, metric)
        assert len(passes) == 2  # batches of two other shapes
        assert clean_rounding(lm, prompt, metric) == first
        assert len(passes) == 2
        assert (
            clean_rounding(lm, prompt, replace(metric, clean_logits=metric.clean_logits)) == first
        )
        assert len(passes) == 4
    finally:
        handle.remove()


@pytest.mark.usefixtures("changed_on_purpose")
def test_an_engine_measures_it_once_for_all_jobs_on_a_prompt_and_anew_for_another_one() -> None:
    lm, _, _ = case("gpt2", torch.bfloat16)
    known, passes = MeasuredMetrics(), list[int]()

    def job(text: str, name: str = "logit", of: LanguageModel = lm) -> float | None:
        prompt, metric = prompt_and_metric(of, text, MetricRequest(name))
        known.recall(of, prompt, metric)
        passes.clear()
        return clean_rounding(of, prompt, metric)

    handle = lm.anatomy.layers[0].register_forward_hook(lambda *_: passes.append(1))
    try:
        first = job(TEXT)
        assert len(passes) == 2
        assert (job(TEXT), passes) == (first, [])
        for other in (lambda: job(OTHER), lambda: job(TEXT, "prob")):
            other()
            assert len(passes) == 2
        renamed = replace(lm, info=with_fields(lm.info, weights="others"))
        job(TEXT, of=renamed)
        assert len(passes) == 2
    finally:
        handle.remove()


def test_models_of_32_and_64_bits_need_none() -> None:
    for dtype in (torch.float32, torch.float64):
        lm, prompt, metric = case("gpt2", dtype)
        assert clean_rounding(lm, prompt, metric) is None
        assert "rounding" not in head_ablation(lm, prompt, metric).extra


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_heads_that_do_no_more_than_that_are_marked_and_others_are_not(family: str) -> None:
    lm, prompt, metric = case(family, torch.bfloat16)
    result = head_ablation(lm, prompt, metric)
    rounding = rounding_of(result)
    assert rounding == clean_rounding(lm, prompt, metric)
    assert rounding is not None
    marked = unsure_entries(result)
    np.testing.assert_array_equal(marked, np.abs(result.values) <= rounding)
    assert not marked.all()
    assert f"{rounding:.2g}" in unsure_words(result)


def test_what_is_a_share_of_a_difference_has_its_rounding_as_such_a_share() -> None:
    lm, prompt, metric = case("llama", torch.bfloat16, name="logit_diff", foil="#5")
    result = activation_patching(lm, prompt, metric, corrupted=OTHER)
    clean, corrupted = (float(result.extra[end].values) for end in ("clean", "corrupted"))
    own = clean_rounding(lm, prompt, metric)
    assert own is not None
    assert rounding_of(result) == pytest.approx(own / abs(clean - corrupted))


def test_the_mark_stands_in_every_text() -> None:
    axes = (Axis("layer", ("0",)), Axis("head", ("0", "1", "2")))
    extra = {"rounding": LabelledArray((), np.array(0.25))}
    result = sample.result("head_ablation", axes, np.array([[0.25, -0.5, np.nan]]), extra)
    np.testing.assert_array_equal(unsure_entries(result), [[True, False, False]])
    rows = list(csv.DictReader(StringIO(csv_of("m", [result]))))
    assert [row["unsure"] for row in rows if row["array"] == "values"] == ["true", "false", "false"]
    assert TEXT not in unsure_words(result)
