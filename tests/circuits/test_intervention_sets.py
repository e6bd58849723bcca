"""Sets of heads: which heads they are, that they act as one, and the random set beside them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard.circuits.heads.ablation import head_ablation
from interpboard.circuits.heads.types import head_scores
from interpboard.errors import BadParameter
from interpboard.interventions import grammar
from interpboard.interventions.choose import choose
from interpboard.interventions.grammar import parse_interventions, parse_items, set_text
from interpboard.interventions.sets import (
    control,
    every_place,
    in_layer,
    of_type,
    strongest,
    strongest_of,
)
from interpboard.interventions.what_if import what_if
from interpboard.models.unembedding import forward_logits
from interpboard.results import Axis, LabelledArray, layer_axis, text_array
from interpboard.results.partial import Partial
from interpboard.runs.prompt import input_ids
from tests import sample
from tests.lm import TOLERANCE, case

GRID = (layer_axis(2), Axis("head", ("0", "1", "2")))


def grid(values: list[list[float]], neutral: float = 0.0, **params: object):
    result = sample.result("head_ablation", GRID, values)
    return msgspec.structs.replace(result, neutral=neutral, params={"ablation": "zero", **params})


@pytest.mark.parametrize("name", ["logprob", "rank", "kl"])
def test_the_strongest_are_the_heads_whose_measured_effects_are_largest(name: str) -> None:
    lm, prompt, metric = case("gpt2", torch.float64, name=name)
    effects = head_ablation(lm, prompt, metric, ablation="mean")
    held = strongest(effects, 3)
    assert held.what == "mean"
    size = np.abs(effects.values)
    found = {tuple(map(int, place.split("."))) for place in held.places}
    assert {float(size[at]) for at in found} <= set(np.sort(size, axis=None)[-3:])
    assert held.name == "strongest 3"


def test_the_strongest_are_far_from_the_neutral_value_and_not_from_nothing() -> None:
    """Where 1 says "no effect", a head at 0.1 does much and one at 1.05 nearly nothing."""
    noised = grid([[1.0, 1.05, 0.1], [1.4, 0.99, 1.0]], neutral=1.0)
    assert strongest(noised, 2).places == ("0.2", "1.0")
    assert "furthest from 1" in strongest(noised, 2).about


def test_what_is_chosen_says_how_many_of_them_help_and_how_many_hurt() -> None:
    values = [[-2.0, 0.5, 0.0], [3.0, -0.1, 0.0]]
    said = strongest(grid(values), 4).about
    assert "2 helped, 2 hurt" in said
    assert "1 without effect" in strongest(grid(values), 5).about


def test_estimates_and_a_part_of_the_grid_are_named_as_such() -> None:
    values = np.array([[-2.0, 0.5, np.nan], [3.0, np.nan, np.nan]])
    marks = np.array([[False, True, False], [False, False, False]])
    partial = LabelledArray(GRID, values, marks)
    held = strongest_of(partial, 3, what="zero", unfinished=True)
    assert held.name == "strongest 3, 1 by estimates, of 3 of 6"
    assert held.places == ("1.0", "0.0", "0.1")
    guesses = LabelledArray(GRID, np.ones((2, 3)), np.ones((2, 3), dtype=bool))
    assert strongest_of(guesses, 2, what="zero").name == "strongest 2 by estimates"
    assert strongest_of(guesses, 2, what="zero", estimated=True).name == "strongest 2 by estimates"
    stopped = grid([[-2.0, 0.5, np.nan], [3.0, np.nan, np.nan]])
    stopped = msgspec.structs.replace(stopped, partial=Partial(3, 6, "heads"))
    assert strongest(stopped, 2).name == "strongest 2, of 3 of 6"
    with pytest.raises(BadParameter, match="3 have a value"):
        strongest_of(partial, 4, what="zero", unfinished=True)


def test_what_is_no_intervention_or_cannot_be_chosen_from_is_refused() -> None:
    with pytest.raises(BadParameter, match="is no intervention"):
        strongest(grid([[1.0] * 3] * 2, ablation="random"), 2)
    assert strongest(grid([[1.0] * 3] * 2, ablation="random"), 2, "zero").what == "zero"
    assert strongest(grid([[1.0] * 3] * 2, ablation="resample"), 2).what == "patch"
    for number in (0, -1, 7):
        with pytest.raises(BadParameter, match="Choose 1 to 6"):
            strongest(grid([[1.0] * 3] * 2), number)
    lens = sample.result("logit_lens", (layer_axis(2),), [1.0, 2.0])
    with pytest.raises(BadParameter, match="by layer and head"):
        strongest(lens, 1)


def test_a_type_holds_every_head_that_is_labelled_so_and_names_what_there_is() -> None:
    names = text_array([["induction", "", "copying"], ["induction", "", ""]])
    types = sample.result("head_scores", GRID, np.zeros((2, 3)))
    types = msgspec.structs.replace(types, extra={"label": LabelledArray(GRID, names)})
    assert of_type(types, "Induction").places == ("0.0", "1.0")
    with pytest.raises(BadParameter, match="copying 1, induction 2"):
        of_type(types, "name mover")
    with pytest.raises(BadParameter, match="head_scores"):
        of_type(grid([[1.0] * 3] * 2), "induction")


@given(seed=st.integers(0, 10**6), n=st.integers(1, 4), layer=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_a_control_has_the_same_size_and_kinds_and_nothing_of_the_set(
    seed: int, n: int, layer: int
) -> None:
    among = every_place(4, 5)
    chosen = in_layer(layer, 4, 5).places[-n:]
    drawn = control(chosen, among, seed)
    assert len(drawn) == n == len(set(drawn.places))
    assert not set(drawn.places) & set(chosen)
    assert sum(place.endswith("mlp") for place in drawn.places) == 1
    assert drawn == control(chosen, reversed(among), seed)
    assert f"seed {seed}" in drawn.name


def test_every_head_is_drawn_about_equally_often() -> None:
    among = [place for place in every_place(4, 5) if not place.endswith("mlp")]
    counts = dict.fromkeys(among, 0)
    for seed in range(600):
        for place in control(("0.0", "1.1"), among, seed).places:
            counts[place] += 1
    assert counts.pop("0.0") == counts.pop("1.1") == 0
    assert min(counts.values()) > 35
    assert max(counts.values()) < 105  # 1200 draws of 18: 67 each


def test_a_control_that_cannot_be_drawn_is_refused_with_how_many_are_left() -> None:
    every = every_place(2, 3)
    heads = [place for place in every if not place.endswith("mlp")]
    with pytest.raises(BadParameter, match="4 heads outside the set, and 2 are left"):
        control(heads[:4], every, 0)
    with pytest.raises(BadParameter, match="no random place"):
        control(["@4"], every, 0)
    drawn = control(["1.0@2-3"], every, 0)
    assert drawn.places[0].endswith("@2-3")


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3"])
def test_a_set_is_all_its_heads_off_at_once_and_its_control_is_measured_alone(family: str) -> None:
    lm, prompt, metric = case(family, torch.float64, name="logprob")
    text = '"two"{0.1, 2.0}=zero; 1.mlp=zero'
    beside = '"random 2, seed 0"{1.1, 2.1}=zero'
    result = what_if(lm, prompt, metric, interventions=text, controls=beside)
    separate = what_if(lm, prompt, metric, interventions="0.1=zero; 2.0=zero; 1.mlp=zero")
    close = TOLERANCE[torch.float64]
    np.testing.assert_allclose(result.values, separate.values, **close)
    both = what_if(lm, prompt, metric, interventions="0.1=zero; 2.0=zero")
    other = what_if(lm, prompt, metric, interventions="1.1=zero; 2.1=zero")
    np.testing.assert_allclose(
        result.extra["alone"].values[0], both.extra["effect"].values, **close
    )
    np.testing.assert_allclose(
        result.extra["control"].values, [other.extra["effect"].values], **close
    )
    assert result.extra["alone"].axes[0].labels == ("two: 2 at once, zero", "1.mlp=zero")
    assert result.extra["control"].axes[0].labels == ("random 2, seed 0: 2 at once, zero",)
    lone = what_if(lm, prompt, metric, interventions='"two"{0.1, 2.0}=zero', controls=beside)
    assert "alone" not in lone.extra
    np.testing.assert_allclose(lone.extra["control"].values, result.extra["control"].values)


@pytest.mark.usefixtures("changed_on_purpose")
def test_everything_of_a_layer_off_is_a_model_whose_layer_adds_the_biases_alone() -> None:
    lm, prompt, metric = case("llama", torch.float64, name="logprob")
    held = in_layer(1, lm.anatomy.n_layers, lm.anatomy.n_heads)
    layer = lm.anatomy.layers[1]

    def nothing(_module, args, output):
        stream = args[0]
        return (stream, *output[1:]) if isinstance(output, tuple) else stream

    handle = layer.register_forward_hook(nothing)
    with torch.no_grad():
        logits = forward_logits(lm.anatomy, input_ids(lm, prompt), metric.info.position)
    handle.remove()
    result = what_if(lm, prompt, metric, interventions=held.text)
    np.testing.assert_allclose(result.values[1], float(metric.of(logits)[0]), rtol=1e-9)


def test_choosing_measures_first_and_says_what_it_chose_from() -> None:
    lm, prompt, metric = case("gpt2", name="logprob")
    chosen = choose(lm, prompt, metric, "strongest=2", what="mean", seed=3)
    assert chosen.results[0].analysis == "head_ablation"
    assert chosen.heads == strongest(chosen.results[0], 2)
    assert chosen.control is not None
    assert chosen.control.name == "random 2, seed 3"
    assert choose(lm, prompt, metric, "layer=1", seed=None).control is None
    types = head_scores(lm, prompt, metric)
    there = {str(name) for name in types.extra["label"].values.reshape(-1)} - {""}
    if there:
        name = sorted(there)[0]
        heads = choose(lm, prompt, metric, f"type={name}", seed=None).heads
        assert heads == of_type(types, name)
    for wrong in ("strongest", "weakest=3", "strongest=x", "layer=99", "type=", "strongest=-1"):
        with pytest.raises(BadParameter):
            choose(lm, prompt, metric, wrong)


@given(
    name=st.text(max_size=12),
    places=st.lists(st.sampled_from(every_place(3, 4)), min_size=1, max_size=6, unique=True),
    what=st.sampled_from(["zero", "mean", "patch"]),
)
@settings(max_examples=60, deadline=None)
def test_a_set_is_read_back_as_it_was_written_whatever_its_name(
    name: str, places: list[str], what: str
) -> None:
    text = set_text(name, places, what)
    whole = f'@1=" x; {{y}}=z"; {text}; 2.9=zero'
    items = parse_items(whole)
    assert [item.text for item in items][1] == text == grammar.split_items(whole)[1]
    assert items[1].name == name == grammar.name_of_set(text)
    assert grammar.places_of(text) == tuple(places)
    assert grammar.place_and_what(text) == (text.rpartition("=")[0], what)
    assert [member.text for member in items[1].members] == [f"{p}={what}" for p in places]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{2.5, 2.5}=zero", "twice"),
        ("{}=zero", "empty"),
        ('{2.5}=" Rome"', "a set takes"),
        ('{2.5}=steer "v"', "a set takes"),
        ("{2.5, nonsense}=zero", "Cannot read"),
        ("{2.5=zero", "Cannot read"),
        ("2.5=zero; 2.5=mean", "put to zero and to mean at once"),
        ('"a"{2.5, 1.0}=zero; 1.0=patch', "put to zero and to patch at once"),
        ('"a"{2.5}=mean; "b"{2.5}=zero', "put to mean and to zero at once"),
    ],
)
def test_what_would_be_other_than_it_reads_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadParameter, match=said):
        parse_interventions(text)


def test_the_same_thing_twice_and_streams_steered_on_top_are_no_contradiction() -> None:
    assert len(parse_interventions('"a"{2.5, 1.0}=zero; 1.0=zero; 2.5@3=mean')) == 4
    assert len(parse_interventions('1.resid=patch; 1.resid=steer "v" * 2')) == 2
