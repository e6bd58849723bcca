"""A run that leaves the model's number format is refused, or its value is NaN and the result says so."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.analyze import analyze
from interpboard.attribution.compare import compare_attributions
from interpboard.circuits.direct.path import direct_path
from interpboard.errors import BadParameter, NotFinite, Unsupported
from interpboard.interventions.steering import steering
from interpboard.models.language_model import LanguageModel
from interpboard.registry import ANALYSES
from interpboard.results import MetricRequest, Result
from interpboard.runs.edits import Counterfactual, Edit
from interpboard.runs.finite import counting
from interpboard.runs.metrics import Metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.record import CLEAN, record
from interpboard.runs.replay import evaluate
from tests.lm import case, fingerprint, tiny_lm
from tests.overflow import TOO_MUCH, overflowing_lm, overflowing_queries_lm

FINE, OVER = "The city of of", f"The city of{TOO_MUCH}"
REQUIRED = {"corrupted": FINE, "subject": " city", "interventions": "0.3=zero"}
SMALL: dict[str, dict[str, Any]] = {
    "circuit": {"corrupted": FINE},
    "patching_confidence": {"pairs": f"{FINE} => {OVER}"},
    "steering": {"positive": "The", "negative": "city"},
    "tuned_lens": {"translators": "nowhere"},
    "tune_lens": {"corpus": "nowhere"},
    "max_activating": {"corpus": "nowhere"},
    "linear_probe": {"data": "ioi"},
    "probe_transfer": {"data": "ioi"},
    "stream_cosine": {"data": "ioi"},
    "stream_pca": {"data": "ioi"},
}


@lru_cache(maxsize=1)
def over() -> LanguageModel:
    return overflowing_lm()


@lru_cache(maxsize=1)
def queries() -> LanguageModel:
    return overflowing_queries_lm()


def run(lm: LanguageModel, name: str, text: str, **params: Any) -> Result:
    return analyze(lm, text, (name,), params={name: params}).results[0]


_OTHER_MODELS = ("expert_", "choice")  # what a plain decoder is not asked


@pytest.mark.parametrize("name", [name for name in ANALYSES if not name.startswith(_OTHER_MODELS)])
def test_every_analysis_refuses_a_prompt_that_overflows_and_says_format_and_remedy(
    name: str,
) -> None:
    required = {key: REQUIRED[key] for key in ANALYSES[name].required}
    for lm, place in ((over(), "in layer 1"), (queries(), "in the attention of layer 1")):
        with pytest.raises(NotFinite) as refused:
            run(lm, name, OVER, **(required | SMALL.get(name, {})))
        assert str(refused.value) == (
            f'The run of "{OVER}" is not finite in float16, first {place}. '
            "Try --dtype float32 or bfloat16."
        )


def test_fused_attention_gives_finite_logits_for_the_queries_that_overflow() -> None:
    """Else the test above would show no more of them than the logits do."""
    lm = queries()
    ids = torch.tensor([make_prompt(lm, f"{OVER} is").token_ids])
    assert bool(lm.model(ids).logits.isfinite().all())


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("activation_patching", {"corrupted": OVER}),
        ("attribution_patching", {"corrupted": OVER}),
        ("path_patching", {"corrupted": OVER}),
        ("patching_confidence", {"corrupted": "The city in of", "pairs": f"{FINE} => {OVER}"}),
        ("circuit", {"corrupted": OVER}),
        ("circuit", {"dataset": f"{FINE} => {OVER} | of | The"}),
        ("head_ablation", {"ablation": "dataset_mean", "references": OVER}),
        ("what_if", {"interventions": f'@3="{TOO_MUCH}"'}),
        ("what_if", {"interventions": "1.resid@3=patch", "source": OVER}),
        ("edited_direct_attribution", {"interventions": f'@3="{TOO_MUCH}"'}),
        ("steering", {"positive": OVER, "negative": "city"}),
        ("integrated_gradients", {"baseline": "text", "baseline_text": TOO_MUCH}),
        ("causal_trace", {"subject": " city", "noise": 1e6, "samples": 1}),
        ("activation_patching", {"subject": " city", "noise": 1e6}),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_run_that_everything_rests_on_is_refused_by_the_same_name(
    name: str, params: dict[str, Any]
) -> None:
    with pytest.raises(NotFinite, match=r"not finite in float16.*Try --dtype float32 or bfloat16"):
        run(over(), name, FINE, **params)


@pytest.mark.parametrize("name", ["occlusion", "shapley"])
def test_edited_runs_that_overflow_are_nan_and_counted_with_the_reason(name: str) -> None:
    result = run(over(), name, FINE, baseline="text", baseline_text=TOO_MUCH)
    assert np.isnan(result.values).any()
    words = " ".join(result.warnings)
    assert "not finite, and what rests on them has no value: float16" in words
    assert "Try --dtype float32 or bfloat16." in words
    assert f"values {np.isnan(result.values).sum()} of 4" in words


def test_the_cells_beside_one_that_overflows_are_what_they_are_alone() -> None:
    for family, path in (("llama", "replay"), ("bloom", "hooks"), ("gpt2", "replay")):
        lm, prompt, metric = case(family)
        assert lm.verified.path == path or family == "bloom"
        fine: list[Counterfactual] = [(Edit("z", layer, head=1),) for layer in range(3)]
        for lost in _overflowing_edits(lm):
            both = evaluate(record(lm, prompt), [fine[0], lost, *fine[1:]], metric)
            assert np.isnan(both[1]), lost
            alone = evaluate(record(lm, prompt), fine, metric)
            np.testing.assert_allclose(np.delete(both, 1), alone, rtol=1e-4, atol=1e-4)
        fingerprint_before = fingerprint(lm)
        assert fingerprint(lm) == fingerprint_before


def _overflowing_edits(lm: LanguageModel) -> list[Counterfactual]:
    wide = torch.full((1, lm.anatomy.d_model), 1e30)
    ramp = wide * torch.linspace(-1, 1, lm.anatomy.d_model)
    found: list[Counterfactual] = [
        # Large enough that a norm gives zeros: all that comes behind would be finite.
        (Edit("resid_pre", 1, "add", positions=(2,), value=ramp),),
        # Put right again a layer later: nothing is left of it in the stream.
        (
            Edit("resid_post", 0, "patch", positions=(3,), value=ramp),
            Edit("resid_post", 1, "patch", positions=(3,), value=torch.zeros(1, 32)),
        ),
        (Edit("resid_pre", 2, "patch", value=wide * torch.nan),),
    ]
    if "q" in lm.verified.sites:
        query = torch.full((1, lm.anatomy.d_head[1]), torch.nan)
        found.append((Edit("q", 1, "patch", head=0, positions=(4,), value=query),))
    return found


def test_a_recorded_run_whose_edit_overflows_is_refused() -> None:
    lm, prompt, _metric = case("llama")
    for lost in _overflowing_edits(lm):
        with pytest.raises(NotFinite, match=r"The edited run of .* is not finite in float32"):
            record(lm, prompt, edits=(*CLEAN, lost))


def test_a_steered_row_that_overflows_has_no_value_and_no_text() -> None:
    lm, prompt, metric = case("gpt2")
    with counting() as lost_runs:
        result = steering(
            lm, prompt, metric, positive="The", negative="city", scales=(1e30, 1), new_tokens=3
        )
    scales = [float(label) for label in result.axes[0].labels]
    lost = scales.index(1e30)
    assert np.isnan(result.values[lost])
    assert np.isfinite(np.delete(result.values, lost)).all()
    assert result.extra["text"].values[lost] == ""
    assert all(result.extra["text"].values[at] for at in range(3) if at != lost)
    assert lost_runs == [1]


def test_a_gradient_that_overflows_is_refused() -> None:
    lm, prompt, metric = case("llama")
    huge = Metric(metric.info, metric.clean_logits)
    with pytest.raises(NotFinite, match="from other embeddings is not finite"):
        _gradient_at(lm, prompt, huge, 1e30)


def _gradient_at(lm: LanguageModel, prompt: Any, metric: Metric, size: float) -> None:
    from interpboard.runs.gradients.embeddings import metric_and_gradient

    metric_and_gradient(lm, prompt, metric, torch.full((1, len(prompt.token_ids), 32), size))


def test_a_method_that_gives_nan_is_nan_beside_the_others_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from interpboard.attribution import compare

    def spoilt(*args: Any, **options: Any) -> Result:
        result = compare.saliency(*args, **options)
        result.values[1] = np.nan
        return result

    monkeypatch.setitem(compare.COMPARED_METHODS, "occlusion", spoilt)
    lm, prompt, metric = case("gpt2")
    result = compare_attributions(lm, prompt, metric, methods=("saliency", "occlusion"))
    assert np.isfinite(result.values[0]).all()
    assert np.isnan(result.values[1]).all()
    assert np.isnan(result.extra["rank_agreement"].values[0, 1])
    assert "occlusion: 1 of 9 scores are not numbers." in result.warnings


CHOICES = [
    (name, parameter.name, choice)
    for name, analysis in ANALYSES.items()
    if name not in ("tuned_lens", "tune_lens", "max_activating")  # they read files
    for parameter in analysis.parameters
    for choice in (*parameter.choices, *((True,) if parameter.kind is bool else ()))
    if choice != parameter.default
]


@pytest.mark.parametrize(("name", "parameter", "choice"), CHOICES)
def test_a_healthy_run_leaves_nothing_out_that_its_row_does_not_declare(
    name: str, parameter: str, choice: Any
) -> None:
    small: dict[str, dict[str, Any]] = {
        "circuit": {"corrupted": "The city in of", "sizes": "40"},
        "integrated_gradients": {"n_steps": 4},
        "noise_tunnel": {"samples": 2, "n_steps": 2},
        "patching_confidence": {"pairs": "The city in of => The city of of", "resamples": 20},
        "steering": {"positive": "The", "negative": "city", "new_tokens": 1},
        "causal_trace": {"samples": 1},
        "critical_components": {"budget": 60},
        "head_scores": {"samples": 2, "length": 4},
        "shapley": {"samples": 2},
        "continuation_attribution": {"new_tokens": 1},
    }
    needed: dict[str, Any] = {"baseline_text": " the", "references": FINE}
    params = {key: REQUIRED[key] for key in ANALYSES[name].required} | small.get(name, {})
    params |= {key: needed[key] for key in needed if key in _names(name)}
    if "corrupted" in params:
        params["corrupted"] = "The city in of"
    try:
        result = run(tiny_lm("gpt2"), name, FINE, **(params | {parameter: choice}))
    except (BadParameter, Unsupported):
        return
    assert not [words for words in result.warnings if "not numbers" in words]


@pytest.mark.parametrize("metric", ["rank", "kl"])
def test_what_a_metric_without_slope_cannot_have_is_no_fault(metric: str) -> None:
    lm, prompt, chosen = case("gpt2", text=FINE, name=metric)
    result = analyze(lm, prompt.text, ["critical_components"], MetricRequest(metric)).results[0]
    assert np.isnan(result.extra["estimate"].values).all()
    assert np.isfinite(result.values).all()
    assert not result.warnings
    assert chosen.info.name == metric


def test_that_nothing_is_to_be_recovered_is_said_once() -> None:
    lm = tiny_lm("gpt2")
    params = {"causal_trace": {"subject": "3", "samples": 1}}
    request = MetricRequest(position=1)  # the subject stands behind it
    result = analyze(lm, FINE, ["causal_trace"], request, params).results[0]
    assert np.isnan(result.extra["recovered"].values).all()
    assert len(result.warnings) == 1
    assert "nothing to recover" in result.warnings[0]


def _names(name: str) -> set[str]:
    return {parameter.name for parameter in ANALYSES[name].parameters}


def test_what_is_read_directly_from_a_finite_stream_stays_finite() -> None:
    lm, prompt, metric = case("llama")
    path = direct_path(lm, metric, record(lm, prompt).resid_final[0, metric.info.position])
    assert bool(path.gradient.isfinite().all())


FLOATS = [
    (name, parameter.name)
    for name, analysis in ANALYSES.items()
    for parameter in analysis.parameters
    if parameter.kind is float
]


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e308", "-1"])
@pytest.mark.parametrize(("name", "parameter"), FLOATS)
def test_a_number_is_refused_by_its_name_or_gives_a_finite_result(
    name: str, parameter: str, value: str
) -> None:
    params = {key: REQUIRED[key] for key in ANALYSES[name].required} | SMALL.get(name, {})
    params |= {"corrupted": "The city in of"} if "corrupted" in params else {}
    params |= {"pairs": "The city in of => The city of of"} if "pairs" in params else {}
    try:
        result = run(tiny_lm("gpt2"), name, FINE, **(params | {parameter: value}))
    except BadParameter as refused:
        found = re.search(rf"Parameter {parameter} is .*", str(refused))
        assert found, refused  # noqa: PT017 - a result is as good
    else:
        assert value == "-1"
        assert np.isfinite(result.values).all()
