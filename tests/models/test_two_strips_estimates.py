"""Estimates by gradients, and rankings, of an encoder–decoder: against slopes measured by plain runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from interpboard.attribution.units.by_unit import unit_attribution
from interpboard.attribution.units.context_cite import context_cite
from interpboard.circuits.heads.critical import find_critical_components
from interpboard.errors import BadParameter
from interpboard.interventions.what_if import what_if
from interpboard.models.language_model import LanguageModel
from interpboard.patching.activation import activation_patching
from interpboard.patching.confidence import patching_confidence
from interpboard.patching.estimates import attribution_patching
from interpboard.results import MetricRequest, PromptInfo
from interpboard.runs.metrics import Metric, resolve_metric
from interpboard.runs.prompt import make_prompt
from tests.strips import TEXT, Plain, strips_lm

NAMES = ("E0", "E1", "D0", "X0", "D1", "X1")
OTHER = "The house Tower is in ||| the city is"
BOTH = [(family, dtype) for family in ("t5", "bart") for dtype in (torch.float32, torch.float64)]
CASES = [*BOTH, ("mbart", torch.float64)]
Change = Callable[[torch.Tensor], torch.Tensor]


@cache
def _case(
    family: str, dtype: torch.dtype = torch.float64
) -> tuple[LanguageModel, PromptInfo, Metric, Plain]:
    lm = strips_lm(family, dtype)
    prompt = make_prompt(lm, TEXT)
    return lm, prompt, resolve_metric(lm, prompt, MetricRequest()), Plain(lm, prompt)


def _slope(bad: Plain, target: int, hook: Callable[[Change], Any], way: torch.Tensor) -> float:
    """How fast the logit of ``target`` rises as the activation that ``hook`` changes goes along ``way``.

    T5's norms work in float32 whatever the format: a smaller step would measure their rounding.
    """
    step = 3e-3 if bad.sublayers else 1e-5
    ends = [
        float(bad.logits(hook(lambda own, sign=sign: own + sign * step * way))[-1, target])
        for sign in (1, -1)
    ]
    return (ends[0] - ends[1]) / (2 * step)


def _seen(plain: Plain, hook: Callable[[Change], Any]) -> torch.Tensor:
    kept: list[torch.Tensor] = []
    plain.logits(hook(lambda own: kept.append(own.clone()) or own))
    return kept[0]


@pytest.mark.parametrize(("family", "dtype"), CASES)
def test_a_patch_is_estimated_by_the_slope_towards_it_in_every_group(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, _ = _case(family, dtype)
    exact = _case(family)[3]  # slopes are measured in float64
    bad = Plain(exact_lm := _case(family)[0], make_prompt(exact_lm, OTHER))
    close = {"rtol": 2e-3, "atol": 1e-6 if (family, dtype) == ("bart", torch.float64) else 2e-4}
    heads = attribution_patching(lm, prompt, metric, corrupted=OTHER, site="z")
    stream = attribution_patching(lm, prompt, metric, corrupted=OTHER, verify=4)
    assert not [words for words in heads.warnings if "NaN" in words]
    for row, name in enumerate(NAMES):
        for head in range(2):

            def of_head(change: Change, name: str = name, head: int = head) -> Any:
                return bad.head(name, head, change)

            way = _seen(exact, of_head) - _seen(bad, of_head)
            slope = _slope(bad, metric.target_id, of_head, way)
            np.testing.assert_allclose(heads.values[row, head], slope, **close)

        def of_stream(change: Change, name: str = name) -> Any:
            return bad.stream_before(name, change)

        way = _seen(exact, lambda change, name=name: exact.stream_before(name, change)) - _seen(
            bad, of_stream
        )
        for position in range(len(prompt.token_ids)):
            of_source, at = bad.at(position)
            if of_source != (name[0] == "E"):
                assert np.isnan(stream.values[row, position])
                continue
            assert np.isfinite(stream.values[row, position])
            if position % 4 != 1:  # two of each strip: every slope is two plain runs
                continue
            here = torch.zeros_like(way)
            here[:, at] = way[:, at]
            slope = _slope(bad, metric.target_id, of_stream, here)
            np.testing.assert_allclose(stream.values[row, position], slope, **close)
    patched = activation_patching(lm, prompt, metric, corrupted=OTHER)
    measured = np.isfinite(stream.extra["exact"].values)
    assert measured.sum() == 4
    effects = patched.extra["metric"].values - patched.extra["corrupted"].values
    np.testing.assert_allclose(
        stream.extra["exact"].values[measured], effects[measured], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("family", ["t5", "bart"])
@pytest.mark.parametrize("site", ["q", "k"])
def test_queries_and_keys_are_estimated_by_the_pattern_that_they_make(
    family: str, site: str
) -> None:
    lm, prompt, metric, plain = _case(family)
    bad = Plain(lm, make_prompt(lm, OTHER))
    found = attribution_patching(lm, prompt, metric, corrupted=OTHER, site=site, method="atp_qk")
    star = attribution_patching(lm, prompt, metric, corrupted=OTHER, site=site, method="atp_star")
    np.testing.assert_allclose(star.extra["signed"].values, found.values, rtol=1e-6, atol=1e-9)
    assert (star.values >= 0).all()
    for row, name in enumerate(NAMES):
        clean = _seen(plain, lambda change, name=name: plain.projected(name, site, 1, change))
        # What the head gives with the clean run's queries (or keys) and all else as in the corrupted one.
        kept: list[torch.Tensor] = []
        bad.logits(
            bad.projected(name, site, 1, lambda _own, clean=clean: clean),
            bad.head(name, 1, lambda own, kept=kept: kept.append(own.clone()) or own),
        )

        def of_head(change: Change, name: str = name) -> Any:
            return bad.head(name, 1, change)

        slope = _slope(bad, metric.target_id, of_head, kept[0] - _seen(bad, of_head))
        np.testing.assert_allclose(found.values[row, 1], slope, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize(("family", "dtype"), BOTH)
def test_words_of_both_strips_are_taken_away_together(family: str, dtype: torch.dtype) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    found = unit_attribution(lm, prompt, metric, unit="word", baseline="zero")
    labels = found.axes[0].labels
    assert "".join(labels) == "".join(prompt.tokens)
    begin, end = (found.extra[name].values for name in ("begin", "end"))
    assert prompt.border in begin, "no unit is of both strips"
    for score, first, last in zip(found.values, begin, end, strict=True):
        of_source, at = plain.at(int(first))

        def nothing(own: torch.Tensor, at: int = at, count: int = last - first) -> torch.Tensor:
            new = own.clone()
            new[:, at : at + count] = 0
            return new

        lost = metric.baseline - float(
            plain.logits(plain.embedding(of_source, nothing))[-1, metric.target_id]
        )
        np.testing.assert_allclose(score, lost, rtol=1e-4, atol=2e-5)
    whole = unit_attribution(lm, prompt, metric, unit="word", method="shapley", baseline="zero")
    np.testing.assert_allclose(
        whole.values.sum(), metric.baseline - whole.extra["baseline_metric"].values, rtol=1e-4
    )
    spans = unit_attribution(lm, prompt, metric, unit="span", spans=["Tower"], baseline="zero")
    assert prompt.border in spans.extra["begin"].values, "no stretch between spans is of both"


def test_the_surrogate_of_a_source_and_its_prefix_says_what_it_foresees() -> None:
    lm, prompt, metric, _ = _case("t5")
    found = context_cite(lm, prompt, metric, unit="word", samples=64)
    assert len(found.values) == len(found.axes[0].labels)
    error = np.abs(found.extra["held_out"].values - found.extra["predicted"].values).max()
    spread = np.ptp(found.extra["held_out"].values)
    assert error < spread


@pytest.mark.parametrize(("family", "dtype"), BOTH)
def test_all_components_are_ranked_by_plain_runs_without_them(
    family: str, dtype: torch.dtype
) -> None:
    lm, prompt, metric, plain = _case(family, dtype)
    found = find_critical_components(lm, prompt, metric, budget=1000)
    labels = found.axes[0].labels
    assert "D0 MLP" not in labels
    assert {"layer E1", "layer D0", "layer X1", "E0 MLP", "X1 MLP"} <= {*labels}
    logits = plain.logits(plain.head("X0", 1, torch.zeros_like))
    effect = float(logits[-1, metric.target_id]) - metric.baseline
    np.testing.assert_allclose(found.values[labels.index("X0 H1")], effect, rtol=1e-4, atol=2e-5)
    mean = find_critical_components(lm, prompt, metric, budget=1000, ablation="mean")
    for label, place in (("E1 H0", "E1.0"), ("X1 MLP", "X1.mlp")):
        runs = what_if(lm, prompt, metric, interventions=f"{place}=mean").values
        value = mean.values[mean.axes[0].labels.index(label)]
        np.testing.assert_allclose(value, runs[1] - runs[0], rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_confidence_is_over_the_cells_that_there_are(family: str) -> None:
    lm, prompt, metric, _ = _case(family)
    second = ("The old Tower is in ||| the city of", "The house Tower is in ||| the city of")
    found = patching_confidence(
        lm, prompt, metric, corrupted=OTHER, pairs=[second], resamples=50, control=True
    )
    first = activation_patching(lm, prompt, metric, corrupted=OTHER)
    effects = first.extra["metric"].values - first.extra["corrupted"].values
    np.testing.assert_allclose(found.extra["per_pair"].values[0], effects, rtol=1e-6, atol=1e-9)
    there = np.isfinite(effects)
    for name in ("low", "high", "p_value", "p_family", "control", "p_control"):
        assert (np.isfinite(found.extra[name].values) == there).all(), name
    elsewhere = ("The old Tower is ||| the city of in", "The house Tower is ||| the city of in")
    with pytest.raises(BadParameter, match="5 and 5, 4 and 6 tokens"):
        patching_confidence(lm, prompt, metric, corrupted=OTHER, pairs=[elsewhere])
