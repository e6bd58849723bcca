"""Confidence over pairs: statistics known by hand, and every mean the mean of exact grids."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from interpboard import open_model
from interpboard.analyze import analyze
from interpboard.errors import BadParameter, BadPrompt, BadTarget, Cancelled
from interpboard.patching import ActivationPatcher
from interpboard.patching.activation import activation_patching
from interpboard.patching.confidence import patching_confidence
from interpboard.patching.prompt_pairs import pair_fields
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt
from interpboard.runs.watch import Watch
from interpboard.statistics.means import bootstrap_interval
from interpboard.statistics.significance import sign_flip_p_values
from tests.lm import case, fingerprint, tiny_lm
from tests.patching.test_activation import CLEAN, CORRUPTED

PAIRS = [
    (CLEAN, CORRUPTED),
    ("The Eiffel Tower is located in the house", "The Eiffel Tower is located on the house"),
    ("The Eiffel Tower is located in the table", "The Eiffel Tower is located to the table"),
]
LINES = "\n".join(f"{clean} => {corrupted}" for clean, corrupted in PAIRS[1:])


def test_few_pairs_are_tested_with_every_pattern_of_signs() -> None:
    effects = np.array([[1.0, 1.0, 0.0, 3.0], [2.0, -2.0, 0.0, 1.0], [4.0, 0.5, 0.0, 1.0]])
    own, family = sign_flip_p_values(effects, 1000, 0)
    # 1 + 2 + 4 is reached by +++ and −−− alone; |1 − 2 + 0.5| by six of eight; 0 by all.
    by_hand, largest = [], np.zeros(8)
    for column in effects.T:
        means = np.abs([np.dot(s, column) / 3 for s in product((1, -1), repeat=3)])
        by_hand.append((means >= abs(column.mean()) - 1e-9).mean())
        largest = np.maximum(largest, means)
    np.testing.assert_allclose(own, by_hand)
    np.testing.assert_allclose(own[[0, 2]], [0.25, 1])
    expected = [(largest >= abs(c.mean()) - 1e-9).mean() for c in effects.T]
    np.testing.assert_allclose(family, expected)
    assert (family >= own).all()


def test_many_pairs_are_tested_with_seeded_random_signs_and_rarely_find_what_is_not_there() -> None:
    effects = np.random.default_rng(3).normal(size=(40, 2000))
    effects[:, 0] += 2
    own, family = sign_flip_p_values(effects, 500, 7)
    assert own[0] == family[0] == 1 / 500  # the pattern seen is the only one as large
    assert 0.03 < (own[1:] < 0.05).mean() < 0.07
    assert (family[1:] < 0.05).sum() <= 2
    np.testing.assert_array_equal(sign_flip_p_values(effects, 500, 7)[0], own)
    assert (sign_flip_p_values(effects, 500, 8)[0] != own).any()


def test_the_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    effects = np.random.default_rng(5).normal(loc=0.3, size=(50, 5000))
    low, high = bootstrap_interval(effects, 0.9, 1000, 0)
    assert 0.86 < ((low < 0.3) & (high > 0.3)).mean() < 0.92
    assert (low < effects.mean(0)).all()
    assert (high > effects.mean(0)).all()
    same = np.broadcast_to(effects[:1], effects.shape)
    for end in bootstrap_interval(same, 0.9, 100, 0):
        np.testing.assert_allclose(end, effects[0])


@pytest.mark.parametrize("direction", ["denoising", "noising"])
@pytest.mark.parametrize(("site", "along"), [("resid_pre", "position"), ("z", "head")])
def test_the_mean_is_that_of_each_pairs_exact_grid(site: str, along: str, direction: str) -> None:
    lm, prompt, metric = case("llama", torch.float64, text=CLEAN)
    before = fingerprint(lm)
    options: Any = {"site": site, "along": along, "direction": direction}
    result = patching_confidence(lm, prompt, metric, corrupted=CORRUPTED, pairs=LINES, **options)
    assert fingerprint(lm) == before
    spans = []
    for number, (clean, corrupted) in enumerate(PAIRS):
        own = make_prompt(lm, clean)
        own_metric = resolve_metric(lm, own, MetricRequest())
        one = activation_patching(lm, own, own_metric, corrupted=corrupted, **options)
        ends = [float(one.extra[name].values) for name in ("clean", "corrupted")]
        base, other = ends[::-1] if direction == "denoising" else ends
        spans.append(other - base)
        np.testing.assert_allclose(
            result.extra["per_pair"].values[number], one.extra["metric"].values - base, atol=1e-9
        )
    per_pair = result.extra["per_pair"].values
    np.testing.assert_allclose(result.values, per_pair.mean(0))
    np.testing.assert_allclose(result.extra["share"].values, per_pair.mean(0) / np.mean(spans))
    assert (result.extra["low"].values <= result.values + 1e-12).all()
    assert (result.extra["high"].values >= result.values - 1e-12).all()
    if site == "resid_pre":  # before the difference there is no effect, and nothing to be sure of
        np.testing.assert_allclose(result.values[:, :5], 0, atol=1e-9)
        np.testing.assert_allclose(result.extra["share"].values[0, 5], 1, atol=1e-6)
    assert int(result.extra["n_pairs"].values) == 3


@pytest.mark.parametrize(
    ("site", "along"), [("resid_post", "auto"), ("v", "auto"), ("neuron", "auto")]
)
def test_random_vectors_are_as_long_as_the_difference_and_seeded(site: str, along: str) -> None:
    lm, prompt, metric = case(text=CLEAN)

    def run(**options: Any) -> Any:
        return patching_confidence(
            lm, prompt, metric, corrupted=CORRUPTED, pairs=LINES, site=site, along=along, **options
        )

    result, again, other = run(control=True), run(control=True), run(control=True, seed=1)
    np.testing.assert_array_equal(result.values, other.values)
    control = result.extra["control"].values
    np.testing.assert_array_equal(control, again.extra["control"].values)
    assert np.abs(control - other.extra["control"].values).max() > 1e-6
    assert np.abs(control - result.values).max() > 1e-6
    p_control = result.extra["p_control"].values
    assert (p_control > 0).all()
    assert (p_control <= 1).all()
    if site == "resid_post":  # no difference, so nothing random either
        np.testing.assert_allclose(control[:, :5], 0, atol=1e-5)
    assert "control" not in run().extra


def test_in_the_demo_model_the_second_name_is_where_the_difference_is() -> None:
    lm = open_model("demo")
    names = [
        ("Mary", "John"),
        ("John", "Mary"),
        ("Anna", "Mary"),
        ("Mary", "Anna"),
        ("John", "Anna"),
    ]
    story = "When {} and {} went to the store, {} gave a drink to"
    pairs = [(story.format(a, b, b), story.format(a, b, a), f" {a}", f" {b}") for a, b in names]
    lengths = {len(make_prompt(lm, text).token_ids) for pair in pairs for text in pair[:2]}
    assert len(lengths) == 1
    with ActivationPatcher(lm.model, lm.tokenizer) as patcher:
        result = patcher.confidence(pairs, MetricRequest("logit_diff"), control=True)
    where = make_prompt(lm, pairs[0][0]).tokens.index(",") + 1
    share, control = result.extra["share"].values, result.extra["control"].values
    assert share[0, where] == pytest.approx(1, abs=1e-4)
    assert np.unravel_index(np.argmax(result.values), result.values.shape)[1] in (
        where,
        len(share[0]) - 1,
    )
    assert result.extra["p_value"].values[0, where] == pytest.approx(2 / 2**5)
    assert result.extra["low"].values[0, where] > 0
    assert abs(control[0, where]) < 0.7 * result.values[0, where]


def test_lines_hold_prompts_and_their_targets() -> None:
    assert pair_fields("a => b\n\nc =>  d => e =>  f") == [("a", "b"), ("c", " d", "e", " f")]
    assert pair_fields([("a", "b"), "c=>d"]) == [("a", "b"), ("c", "d")]
    for wrong in ("alone", "a => b => c => d => e"):
        with pytest.raises(BadParameter, match=r"^Line 1, .*Write"):
            pair_fields(wrong)


def test_from_the_registry_with_targets_and_pairs_of_other_lengths_along_heads() -> None:
    params = {
        "patching_confidence": {
            "corrupted": CORRUPTED,
            "pairs": "When Mary and John went => When John and Mary went =>  the =>  a",
            "site": "z",
            "control": "yes",
        }
    }
    request = MetricRequest("logit_diff", " the", " a")
    lm = tiny_lm()
    result = analyze(lm, CLEAN, ("patching_confidence",), request, params).results[0]
    assert result.values.shape == (3, 4)
    assert result.params["pairs"][0][2:] == [" the", " a"]
    whole = params["patching_confidence"]["pairs"]
    params["patching_confidence"]["pairs"] = whole.rpartition(" => ")[0]
    with pytest.raises(BadParameter, match=r"'When Mary.*names no foil.*=> target => foil"):
        analyze(lm, CLEAN, ("patching_confidence",), request, params)
    params["patching_confidence"] |= {"pairs": whole, "site": "resid_pre"}
    with pytest.raises(BadParameter, match="positions cannot be compared"):
        analyze(lm, CLEAN, ("patching_confidence",), request, params)


def test_bad_input_is_refused_and_a_cancel_leaves_nothing() -> None:
    lm, prompt, metric = case(text=CLEAN)
    before = fingerprint(lm)
    good: Any = {"corrupted": CORRUPTED, "pairs": LINES}
    for wrong, error in (
        ({"pairs": ""}, BadParameter),
        ({"pairs": "a => a b"}, BadPrompt),
        ({"pairs": f"{CLEAN} => {CORRUPTED} => nowhere at all"}, BadTarget),
        ({"level": 1.0}, BadParameter),
        ({"direction": "up"}, BadParameter),
        ({"control": True, "site": "pattern"}, BadParameter),
    ):
        with pytest.raises(error):
            patching_confidence(lm, prompt, metric, **(good | wrong))
    heard: list[Any] = []
    watch = Watch(on_progress=lambda *args: heard.append(args))
    result = patching_confidence(lm, prompt, metric, watch=watch, **good)
    assert heard[-1][0] == heard[-1][1]
    np.testing.assert_array_equal(heard[-1][2].values, result.values)
    steps = iter(range(10_000))
    with pytest.raises(Cancelled):
        patching_confidence(
            lm, prompt, metric, watch=Watch(cancelled=lambda: next(steps) > 9), **good
        )
    assert fingerprint(lm) == before
