"""What is left out of a row's text is what every row has there, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.shared_words import SAMPLE, shared_words


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (["When Al and Bo go", "When Cy and Bo go"], ["…Al…", "…Cy…"]),
        (["x A B y", "x A y", "x A C D y"], ["…B…", "x A y", "…C D…"]),
        (["the same", "the same"], ["the same", "the same"]),
        (["alone here"], ["alone here"]),
        (["", "a b"], ["", "a b"]),
    ],
)
def test_stretches_that_all_have_are_one_mark(texts: list[str], shown: list[str]) -> None:
    found = shared_words(texts)
    assert [found.without(text) for text in texts] == shown


@given(st.lists(st.text("ab ", max_size=8), min_size=2, max_size=SAMPLE))
def test_texts_that_differ_are_shown_differently(texts: list[str]) -> None:
    found = shared_words(texts)
    shown: dict[str, str] = {}
    for text in texts:
        assert shown.setdefault(found.without(text), text) == text
