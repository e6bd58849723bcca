"""Spans that a user marks: units as any other, exact, and refused where two things could be meant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard.attribution.occlusion import occlusion
from interpboard.attribution.units.by_unit import unit_attribution
from interpboard.attribution.units.context_cite import context_cite
from interpboard.circuits.heads.knockout import attention_knockout, knockout_grid
from interpboard.errors import BadParameter
from interpboard.registry import ANALYSES
from interpboard.runs.prompt import make_prompt
from interpboard.runs.units import units_of
from tests.lm import case, tiny_lm

TEXT = "The cat sat. It was late! Was the dog near?\nNo one saw"


def bounds(spans: str | Sequence[str], reach: int | None = None) -> list[tuple[int, int]]:
    units = units_of(make_prompt(tiny_lm(), TEXT), "span", reach, spans)
    return [(own.positions[0], own.positions[-1] + 1) for own in units]


@pytest.mark.parametrize("spans", ["2-3,5", " 5 , 2 - 3 ", "5;2-3", ["5", "2-3"]])
def test_positions_have_both_ends_and_what_stands_between_is_a_unit(
    spans: str | list[str],
) -> None:
    end = len(make_prompt(tiny_lm(), TEXT).token_ids)
    assert bounds(spans) == [(0, 2), (2, 4), (4, 5), (5, 6), (6, end)]


def test_texts_are_found_where_they_stand() -> None:
    prompt = make_prompt(tiny_lm(), TEXT)
    units = units_of(prompt, "span", None, "It was late; the dog")
    assert [own.label.strip() for own in units][1::2] == ["It was late", "the dog"]
    assert [at for own in units for at in own.positions] == list(range(len(prompt.tokens)))
    digits = make_prompt(tiny_lm(), "of 2-3 and 4")
    (unit,) = [own for own in units_of(digits, "span", None, '"2-3"') if "2" in own.label]
    assert unit.label.strip() == "2-3"


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ("", "no spans"),
        (" ; ", "no spans"),
        ("2-5,4-6", "spans 2-5 and 4-6 overlap"),
        ("3,3", "spans 3 and 3 overlap"),
        ("cat sat;1", "overlap"),
        ("5-2", "ends before it begins"),
        ("2-99", "not in the prompt"),
        ("-2", "not in the prompt"),
        ("the moon", "not in the prompt"),
        ("at", "in the prompt 3 times"),
        (["2", 3], "texts or positions"),
        (7, "texts or positions"),
    ],
)
def test_what_is_not_there_or_is_there_twice_is_refused_in_one_line(spans: str, said: str) -> None:
    with pytest.raises(BadParameter, match=said) as caught:
        bounds(spans)
    assert "\n" not in str(caught.value)


def test_a_part_of_a_token_and_what_stands_behind_the_explained_position_are_refused() -> None:
    with pytest.raises(BadParameter, match="'ea' is a part of its tokens, 'ear'"):
        bounds("ea")
    with pytest.raises(BadParameter, match="beyond position 4"):
        bounds("3-5", reach=5)
    with pytest.raises(BadParameter, match="no unit 'word'"):
        units_of(make_prompt(tiny_lm(), TEXT), "word", None, "2-3")


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=12))
def test_whatever_is_written_is_spans_that_cover_the_prompt_or_refused(spans: str) -> None:
    prompt = make_prompt(tiny_lm(), TEXT)
    try:
        units = units_of(prompt, "span", None, spans)
    except BadParameter:
        return
    assert [at for own in units for at in own.positions] == list(range(len(prompt.tokens)))


def test_a_span_of_one_token_is_worth_what_the_token_is_and_of_a_sentence_what_that_is() -> None:
    lm, prompt, metric = case("gpt2", text=TEXT)
    found = unit_attribution(lm, prompt, metric, unit="span", spans="3")
    tokens = occlusion(lm, prompt, metric, baseline="mean")
    assert found.values[1] == pytest.approx(tokens.values[3], rel=1e-5, abs=1e-6)
    sentences = unit_attribution(lm, prompt, metric)
    begin, end = (int(sentences.extra[name].values[1]) for name in ("begin", "end"))
    spans = f"{begin}-{end - 1}"
    whole = unit_attribution(lm, prompt, metric, unit="span", spans=spans)
    assert whole.values[1] == pytest.approx(sentences.values[1], rel=1e-5, abs=1e-6)
    assert whole.params["spans"] == spans
    assert "spans" not in sentences.params


def test_hiding_a_span_is_hiding_the_sentence_that_it_is() -> None:
    lm, prompt, metric = case("gpt2", text=TEXT)
    sentences = attention_knockout(lm, prompt, metric)
    begin, end = (int(sentences.extra[name].values[1]) for name in ("begin", "end"))
    spans = f"{begin}-{end - 1}"
    found = attention_knockout(lm, prompt, metric, unit="span", spans=spans)
    np.testing.assert_allclose(found.values[1], sentences.values[1], rtol=1e-5, atol=1e-6)
    kl = (own.extra["kl"].values[1] for own in (found, sentences))
    np.testing.assert_allclose(*kl, rtol=1e-4, atol=1e-6)
    grid = knockout_grid(lm, prompt, metric, unit="span", spans=spans)
    assert grid.values.shape == (3, 3)
    cited = context_cite(lm, prompt, metric, unit="span", spans=spans, samples=16)
    assert cited.axes == found.axes


def test_the_registry_offers_spans_wherever_units_are_taken() -> None:
    for name in ("unit_attribution", "context_cite", "attention_knockout", "knockout_grid"):
        parsed = ANALYSES[name].parse({"unit": "span", "spans": "2-5,7-9"})
        assert parsed["spans"] == "2-5,7-9"
