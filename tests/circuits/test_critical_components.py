"""Critical components: what is measured is exact, and the budget goes where it matters."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from interpboard import open_model
from interpboard.analyze import analyze
from interpboard.circuits import find_critical_components
from interpboard.circuits.heads import candidates
from interpboard.circuits.heads import critical as critical_components
from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.heads.candidates import Candidate
from interpboard.circuits.heads.critical import doubts
from interpboard.errors import BadParameter, Cancelled, Unsupported
from interpboard.results import MetricRequest
from interpboard.runs.gradients.sites import gradients_by_layer
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import input_ids, make_prompt
from interpboard.runs.watch import Watch
from tests.lm import TEXT, case, fingerprint, tiny_lm
from tests.patching.test_atp_star import linear_lm

EVERYTHING = 1000


def _by_label(result: Any, name: str | None = None) -> dict[str, float]:
    values = result.values if name is None else result.extra[name].values
    return dict(zip(result.axes[0].labels, values.tolist(), strict=True))


def _plain(lm: Any, prompt: Any, metric: Any, changes: list[tuple[Any, Any]]) -> float:
    handles = [
        module.register_forward_hook(lambda _m, _args, out, act=act: act(out))
        for module, act in changes
    ]
    with torch.no_grad():
        logits = lm.model(input_ids=input_ids(lm, prompt)).logits[:, -1]
    for handle in handles:
        handle.remove()
    return float(metric.of(logits)[0]) - metric.baseline


@pytest.mark.parametrize("ablation", ["zero", "mean"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
def test_each_effect_is_a_plain_forward_without_the_component(family: str, ablation: str) -> None:
    lm, prompt, metric = case(family, torch.float64)
    before = fingerprint(lm)
    result = find_critical_components(lm, prompt, metric, budget=EVERYTHING, ablation=ablation)
    assert fingerprint(lm) == before
    found = _by_label(result)
    assert len(found) == 12 + 3 + 3 + len(prompt.token_ids)

    def gone(out: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(out) if ablation == "zero" else out.mean(-2, keepdim=True) + 0 * out

    def token_gone(out: torch.Tensor) -> torch.Tensor:
        out = out.clone()
        out[0, 2] = gone(out)[0, 2]
        return out

    attention, mlp = lm.anatomy.attn_out[1], lm.anatomy.mlp_out[1]
    for label, changes in (
        ("L1 MLP", [(mlp, gone)]),
        ("layer 1", [(mlp, gone), (attention, gone)] if ablation == "zero" else None),
        ("embed 2", [(lm.anatomy.embedding, token_gone)]),
    ):
        if changes is not None:  # a layer's means are those of the clean run: both hooks see that
            assert found[label] == pytest.approx(_plain(lm, prompt, metric, changes), abs=1e-6)
    heads = head_ablation(lm, prompt, metric, ablation=ablation).values
    for layer in range(3):
        for head in range(4):
            assert found[f"L{layer} H{head}"] == pytest.approx(heads[layer, head], abs=1e-9)
    sizes = np.abs(result.values)
    np.testing.assert_array_equal(sizes, np.sort(sizes)[::-1])
    assert result.warnings == ()


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_where_the_model_is_linear_every_estimate_is_exact(family: str) -> None:
    lm = linear_lm(family)
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest())
    for ablation in ("zero", "mean"):
        result = find_critical_components(lm, prompt, metric, budget=EVERYTHING, ablation=ablation)
        assert np.abs(result.values).max() > 1e-3
        np.testing.assert_allclose(result.extra["estimate"].values, result.values, atol=1e-8)
        np.testing.assert_allclose(result.extra["error"].values, 0, atol=1e-8)


def test_what_was_measured_within_the_budget_is_what_measuring_everything_gives() -> None:
    lm, prompt, metric = case("llama", torch.float64)
    whole = find_critical_components(lm, prompt, metric, budget=EVERYTHING)
    part = find_critical_components(lm, prompt, metric, budget=13)
    exact = _by_label(whole)
    for label, value in _by_label(part).items():
        assert np.isnan(value) or value == pytest.approx(exact[label], abs=1e-9)
    assert _by_label(part, "estimate") == pytest.approx(_by_label(whole, "estimate"))


def test_doubting_the_estimates_finds_more_of_the_largest_effects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cases = [case(family) for family in ("gpt2", "llama", "qwen3", "gemma2")]
    largest = [
        set(find_critical_components(*one, budget=EVERYTHING).axes[0].labels[:10]) for one in cases
    ]

    def found() -> int:
        measured = [find_critical_components(*one, budget=13).axes[0].labels[:13] for one in cases]
        return sum(len(want & set(got)) for want, got in zip(largest, measured, strict=True))

    doubting = found()
    monkeypatch.setattr(critical_components, "doubts", lambda found, _effects: 0 * len(found))
    assert doubting > found()


def test_half_the_budget_finds_the_largest_effects_on_the_demo_model() -> None:
    lm = open_model("demo")
    for text in ("When Mary and John went to the store, John gave a drink to", "The keys to the"):
        prompt = make_prompt(lm, text)
        metric = resolve_metric(lm, prompt, MetricRequest())
        whole = find_critical_components(lm, prompt, metric, budget=EVERYTHING)
        budget = len(whole.values) // 2
        part = find_critical_components(lm, prompt, metric, budget=budget)
        assert len(set(whole.axes[0].labels[:5]) & set(part.axes[0].labels[:budget])) >= 4


@pytest.mark.parametrize("budget", [1, 2, 5, 9, 27])
def test_exactly_the_budget_is_measured_and_said(budget: int) -> None:
    lm, prompt, metric = case()
    result = find_critical_components(lm, prompt, metric, budget=budget)
    verified = result.extra["verified"].values
    assert verified.sum() == budget == int(result.extra["n_verified"].values)
    assert int(result.extra["n_components"].values) == len(verified)
    np.testing.assert_array_equal(np.isfinite(result.values), verified == 1)
    np.testing.assert_array_equal(verified, np.sort(verified)[::-1])  # measured ones come first
    rest = np.abs(result.extra["estimate"].values[verified == 0])
    np.testing.assert_array_equal(rest, np.sort(rest)[::-1])
    if budget >= 4:
        kinds = {label.split()[-1][0] + label[0] for label in result.axes[0].labels[:budget]}
        assert len({kind[1] for kind in kinds}) == 3  # L…, layer, embed
    assert bool(result.warnings) == (budget < len(verified))


def test_doubt_is_the_bound_times_the_error_seen_in_its_kind() -> None:
    def one(kind: str, estimate: float, bound: float) -> Candidate:
        return Candidate(kind, kind, (), estimate, bound)

    found = [
        one("head", 1.0, 2.0),  # measured 2.0: off by half its bound
        one("head", 0.0, 4.0),
        one("mlp", 3.0, 5.0),  # measured 3.5: off by a tenth
        one("mlp", 0.0, 10.0),
        one("embed", 0.0, 10.0),  # none of its kind measured: the mean of 0.5 and 0.1
        one("embed", 0.0, 0.0),
    ]
    effects = np.array([2.0, np.nan, 3.5, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(doubts(found, effects), [1, 2, 0.5, 1, 3, 0])
    np.testing.assert_array_equal(doubts(found, np.full(6, np.nan)), 0)


def test_kinds_are_chosen_and_it_runs_from_the_registry() -> None:
    params = {"critical_components": {"kinds": "mlp,embed", "budget": "5", "ablation": "mean"}}
    result = analyze(tiny_lm(), TEXT, ("critical_components",), params=params).results[0]
    assert {label.split()[-1] == "MLP" or label.startswith("embed") for label in
            result.axes[0].labels} == {True}  # fmt: skip
    assert result.params == {"kinds": ["mlp", "embed"], "budget": 5, "ablation": "mean"}


@pytest.mark.parametrize("name", ["kl", "rank"])
def test_a_metric_without_slope_is_measured_whole_or_refused(name: str) -> None:
    lm, prompt, metric = case(name=name)
    with pytest.raises(Unsupported, match=r"a budget of \d+ to measure everything"):
        find_critical_components(lm, prompt, metric, budget=5)
    result = find_critical_components(lm, prompt, metric, budget=EVERYTHING)
    assert np.isfinite(result.values).all()
    assert np.isnan(result.extra["estimate"].values).all()


def test_partial_rankings_lead_to_the_result_and_a_cancel_leaves_nothing() -> None:
    lm, prompt, metric = case("llama")
    before = fingerprint(lm)
    heard: list[Any] = []
    watch = Watch(on_progress=lambda *args: heard.append(args))
    result = find_critical_components(lm, prompt, metric, budget=12, watch=watch)
    assert heard[-1][:2] == (12, 12)
    assert heard[-1][2].axes == result.axes
    np.testing.assert_array_equal(heard[-1][2].values, result.values)
    steps = iter(range(1000))
    with pytest.raises(Cancelled):
        find_critical_components(lm, prompt, metric, watch=Watch(cancelled=lambda: next(steps) > 7))
    assert fingerprint(lm) == before
    for wrong in ({"budget": 0}, {"kinds": ("neuron",)}, {"kinds": ()}, {"ablation": "noise"}):
        with pytest.raises(BadParameter):
            find_critical_components(lm, prompt, metric, **wrong)


@pytest.mark.parametrize("ablation", ["zero", "mean"])
def test_of_what_layers_have_one_is_held_at_a_time(
    ablation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm, prompt, metric = case("llama")
    expected = find_critical_components(lm, prompt, metric, ablation=ablation)
    monkeypatch.setattr("interpboard.runs.gradients.sites.backward_pass_is_small", lambda *_: False)
    before: list[weakref.ref[torch.Tensor]] = []

    def heard(*args: Any) -> Any:
        found = gradients_by_layer(*args)

        def layers() -> Iterator[Any]:
            for at in found.layers:
                assert [each() for each in before] == [None] * len(before)
                before.append(weakref.ref(at.activation))
                yield at
                del at

        return replace(found, layers=layers())

    monkeypatch.setattr(candidates, "gradients_by_layer", heard)
    result = find_critical_components(lm, prompt, metric, ablation=ablation)
    assert len(before) == 3 * lm.anatomy.n_layers + 1
    found, wanted = _by_label(result, "estimate"), _by_label(expected, "estimate")
    assert found == pytest.approx(wanted, rel=1e-3, abs=1e-5)
