"""Spans in Tokens: marked, shown, summed as units, of this prompt alone; and units hidden from the answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpboard.results import Axis, LabelledArray, MadeBy, MetricInfo, Result
from tests.tui.conftest import Board, Boards
from tui.session.state import Question, State
from tui.slots.tokens.spans import joined_spans, stretches
from tui.slots.tokens.spec import TOKENS
from tui.slots.tokens.units import spans_in, spans_in_text, spans_text
from tui.testing.wait_until_idle import wait_until_idle
from tui.widgets.token_strip import wrap

TEXT = "Why is it so blue today"


def of_tokens(b: Board) -> tuple[str, dict[str, object]]:
    """What Tokens asked for last."""
    request = b.app.state.slots["tokens"].request
    assert request is not None
    return request.analysis, dict(request.params)


def plain(b: Board) -> str:
    """The screen without the signs that stand for colours."""
    return b.screen.replace("·", " ").replace("⁻", "").replace("⁺", "")


async def span(b: Board) -> None:
    await b.press("colon", *"make the marked", "enter")


async def mark(b: Board, *positions: int) -> None:
    await b.press("1", "g")
    at = 0
    for position in positions:
        await b.press(*["right"] * (position - at), "s")
        at = position


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_marked_tokens_become_spans_in_brackets_and_units(
    board: Boards, size: tuple[int, int]
) -> None:
    async with board(size, TEXT) as b:
        await mark(b, 1, 2, 4)
        await span(b)
        gradients = {"unit": "span", "spans": "1-2,4", "method": "integrated_gradients"}
        assert of_tokens(b) == ("unit_attribution", gradients)
        assert "Why⟦ is it⟧ so⟦ blue⟧ today" in plain(b)
        assert b.app.state.subject == ()
        assert "in a span" in b.readout("tokens")
        await b.press("v")
        assert of_tokens(b)[0] == "integrated_gradients"
        await b.press("v", "v", "v")
        assert of_tokens(b)[1]["unit"] == "span"


async def test_the_cursors_span_is_taken_back_and_a_new_one_makes_room_for_itself(
    board: Boards,
) -> None:
    async with board((80, 24), TEXT) as b:
        await mark(b, 1, 2, 4)
        await span(b)
        await mark(b, 2, 3)
        await span(b)
        assert of_tokens(b)[1]["spans"] == "2-3,4"
        await b.press("g", "right", "right")
        await span(b)
        assert of_tokens(b)[1]["spans"] == "4"
        await b.press("g", "right", "right", "right", "right")
        await span(b)
        assert of_tokens(b)[0] == "integrated_gradients"
        await span(b)
        assert "Needs marked tokens" in b.messages[-1] + b.screen


async def test_spans_of_one_prompt_are_never_asked_of_another(board: Boards) -> None:
    async with board((120, 40), TEXT) as b:
        await mark(b, 1, 2)
        await span(b)
        await b.press("p", "ctrl+u")
        await b.write("Who was that man")
        await b.press("enter")
        await wait_until_idle(b.app)
        assert "spans" not in of_tokens(b)[1]
        assert of_tokens(b)[1]["unit"] == "sentence"
        assert "⟦" not in b.screen


async def test_each_unit_is_hidden_from_the_answer_with_the_metric_and_kl_at_the_cursor(
    board: Boards,
) -> None:
    async with board((80, 24), TEXT) as b:
        await b.press("colon", *"hide each unit", "enter")
        assert of_tokens(b) == ("attention_knockout", {"unit": "sentence"})
        assert "attention knock-out by sentence" in b.screen
        await b.press("g")
        assert "+0.50" in b.readout("tokens")
        assert "KL 0.125" in b.readout("tokens")
        await b.press("G")
        assert "KL 2.5" in b.readout("tokens")
        await mark(b, 1, 2)
        await span(b)
        assert of_tokens(b) == ("attention_knockout", {"unit": "span", "spans": "1-2"})


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_spans_never_overlap_and_are_written_so_that_they_are_read_again(
    old: set[int], new: set[int]
) -> None:
    found = joined_spans(stretches(old), stretches(new))
    places = [at for begin, end in found for at in range(begin, end)]
    assert len(places) == len(set(places))
    assert new <= set(places) <= old | new
    assert spans_in_text(spans_text(found)) == found


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("1-2,4", ((1, 3), (4, 5))),
        (" is it; blue", ((1, 3), (4, 5))),
        (["blue", '"is it"'], ((1, 3), (4, 5))),
        ("0-0;blue", ((0, 1), (4, 5))),
        ("blue;today", ()),  # one of them is no unit of it
        ("", ()),
    ],
)
def test_a_saved_result_comes_back_with_the_spans_it_was_asked_for(
    given: object, found: tuple[tuple[int, int], ...]
) -> None:
    axis = Axis("unit", ("Why", " is it", " so", " blue", " today now"))
    extra = {
        name: LabelledArray((axis,), np.array(values))
        for name, values in (("begin", [0, 1, 3, 4, 5]), ("end", [1, 3, 4, 5, 7]))
    }
    result = Result(
        "unit_attribution", {"unit": "span", "spans": given}, MetricInfo("logit", 6), 0.0,
        (axis,), np.zeros(5), extra, 0.0, MadeBy("0", "0", "0"),
    )  # fmt: skip
    state = TOKENS.restore(TOKENS, State(question=Question(TEXT)), result)
    assert spans_in(state) == found
    if found:
        request = TOKENS.build(TOKENS, state)
        assert request is not None
        assert request.params["unit"] == "span"
        assert request.params["spans"] == spans_text(found)


@pytest.mark.parametrize("text", ["of France", "2-", "-2", "2;3", "", "٢-٣x"])
def test_what_is_no_list_of_positions_is_read_as_none(text: str) -> None:
    assert spans_in_text(text) == ()


@pytest.mark.parametrize("texts", [("a⏎⟧", "b"), ("a⏎", "b")])
def test_a_line_ends_behind_a_bracket_that_stands_behind_a_newline(texts: Sequence[str]) -> None:
    assert [[piece.token for piece in line] for line in wrap(texts, 20)] == [[0], [1]]
