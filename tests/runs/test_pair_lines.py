"""Lines that hold prompts: what separates them can be a part of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard.circuits.discovery.cases import tokenize_examples
from interpboard.circuits.discovery.examples import Example, read_examples
from interpboard.errors import BadParameter, InterpBoardError
from interpboard.patching.prompt_pairs import pair_fields
from interpboard.runs.references import resolve_token
from tests.tokenizers import lm_of


def test_the_old_lines_are_read_as_before() -> None:
    assert read_examples("a => b | c/d | '7'") == [Example("a", "b", (" c", " d"), ("7",))]
    assert read_examples('{"a": 1} is') == [Example('{"a": 1} is')]
    assert read_examples('{"a": 1}') == [Example('{"a": 1}')]
    assert pair_fields("a => b =>  c") == [("a", "b", " c")]


def test_an_arrow_or_a_bar_of_a_prompt_has_a_backslash() -> None:
    (example,) = read_examples(r"x \=> y \| z => u \=> v | w")
    assert example == Example("x => y | z", "u => v", (" w",))
    assert pair_fields(r"x \=> y => u \=> v =>  w") == [("x => y", "u => v", " w")]


def test_a_line_of_json_says_everything_as_it_is() -> None:
    given = {"clean": "x => y | z\n", "corrupted": "\u2028 u", "target": [" a", "#7"], "foil": "b"}
    line = json.dumps(given, ensure_ascii=False)
    assert read_examples(line) == [Example("x => y | z\n", "\u2028 u", (" a", "#7"), ("b",))]
    one = json.dumps({"clean": "a => b", "corrupted": " c ", "target": " d"})
    assert pair_fields(f"{one}\na => b") == [("a => b", " c ", " d"), ("a", "b")]


def test_a_file_of_lines_drops_the_mark_at_its_beginning(tmp_path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text('\ufeff{"clean": "a"}\r\nb => c\r\n', encoding="utf-8")
    assert read_examples(str(file)) == [Example("a"), Example("b", "c")]


@pytest.mark.parametrize(
    "line",
    ['{"clean": "a"', '{"clean": 5}', '{"clean": "a", "answer": "b"}', '{"clean": "a", "target": 5}',
     '{"clean": "a", "target": []}', '{"corrupted": "a"}', '{"clean": "a", "corrupted": 5}',
     "a => b => c | d"],
)  # fmt: skip
def test_a_damaged_line_is_refused(line: str) -> None:
    with pytest.raises(BadParameter):
        read_examples([line])


@pytest.mark.parametrize(
    "line", ['{"clean": "a"}', '{"clean": "a", "foil": "b"}', '{"clean": "a"', "a"]
)
def test_a_damaged_pair_is_refused(line: str) -> None:
    with pytest.raises(BadParameter):
        pair_fields(line)


@settings(max_examples=60, deadline=None)
@given(st.text("{}\":=>\\| abc/'#1\n[],é", max_size=40))
def test_any_lines_are_examples_or_one_of_our_errors(text: str) -> None:
    for read in (read_examples, pair_fields):
        try:
            read(text)
        except InterpBoardError as error:
            assert str(error)  # noqa: PT017 - any of them will do


def test_answers_are_tokens_by_text_or_by_id() -> None:
    lm = lm_of("llama")
    john = resolve_token(lm, " John").id
    lines = f"John is => Mary is | #{john} | Mary\nMary is => John is | Mary | John"
    cases = tokenize_examples(lm, read_examples(lines))
    assert cases[0].targets == cases[1].foils == (john,)


def test_what_the_tokenizer_appends_is_not_the_position_that_is_measured() -> None:
    lm = lm_of("both ends")
    (case,) = tokenize_examples(lm, read_examples(["John is => Mary is | John | Mary"]))
    assert case.clean.token_ids[-1] != lm.tokenizer.eos_token_id
    assert case.corrupted is not None
    assert len(case.corrupted.token_ids) == len(case.clean.token_ids)
