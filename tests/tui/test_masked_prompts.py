"""A model that fills masks in: what the app begins with, and what it says of the place."""

from __future__ import annotations

from interpboard.config import DEFAULT_TEXT
from interpboard.results import MetricInfo
from tui.session.reduce import first_example
from tui.session.state import Question


def test_the_first_example_gets_a_mask_where_the_model_fills_one_in() -> None:
    masked = first_example(Question(), "[MASK]")
    assert masked.text == f"{DEFAULT_TEXT} [MASK]."
    assert first_example(Question(), "").text == DEFAULT_TEXT
    assert first_example(masked, "[MASK]") == masked


def test_a_prompt_of_the_users_own_stays_as_it_is() -> None:
    for question in (Question("Paris is"), Question(DEFAULT_TEXT, kind="chat"), Question("")):
        assert first_example(question, "<mask>") == question


def test_what_is_told_is_at_a_mask_and_behind_any_other_token() -> None:
    assert MetricInfo("logit", 3, in_place=True).place == "at"
    assert MetricInfo("logit", 3).place == "after"
