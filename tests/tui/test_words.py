"""Pure pieces: wrapping, numbers in words, the turn of metrics, file names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui import words
from tui.files.export import propose
from tui.session.state import Question
from tui.widgets.token_strip import wrap


@given(st.lists(st.text(max_size=12), max_size=40), st.integers(4, 60))
def test_wrapping_loses_nothing_and_fits(texts: list[str], width: int) -> None:
    texts = [text for text in texts if all(cell_len(char) <= width for char in text)]
    lines = wrap(texts, width)
    pieces = [piece for line in lines for piece in line]
    for token, text in enumerate(texts):
        assert "".join(piece.text for piece in pieces if piece.token == token) == text
    for piece in pieces:
        assert piece.x + cell_len(piece.text) <= width


def test_wrapping_breaks_before_a_token_and_after_a_newline() -> None:
    lines = wrap(["The", " Eiffel", " Tower⏎", "is"], 11)
    assert [[piece.text for piece in line] for line in lines] == [
        ["The", " Eiffel"],
        [" Tower⏎"],
        ["is"],
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.2345, "+1.234"),
        (-1.5, "−1.500"),
        (0.0, "0"),
        (0.00001, "+1.0e-05"),
        (float("nan"), "·"),
    ],
)
def test_numbers_always_say_their_sign(value: float, text: str) -> None:
    assert words.signed(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.931, "93.1%"),
        (0.00001, "<.01%"),
        (0.00094, "0.09%"),
        (0.00096, "0.1%"),
        (0.001, "0.1%"),
        (0.0, "0.00%"),
        (1.0, "100%"),
        (0.99999, ">99.9%"),
        (float("nan"), "·"),
    ],
)
def test_probabilities_never_round_to_certainty_or_nothing(value: float, text: str) -> None:
    assert words.percent(value) == text


def test_difference_is_in_the_turn_of_metrics_only_with_a_foil() -> None:
    ask, seen = Question(), []
    for _ in range(4):
        ask = ask.next_metric()
        seen.append(ask.metric)
    assert seen == ["prob", "logprob", "logit", "prob"]
    with_foil = Question().with_foil(" Rome")
    assert with_foil.metric == "logit_diff"
    assert with_foil.with_foil(None).metric == "logit"


def test_a_proposed_file_never_overwrites_and_stays_in_the_folder(tmp_path: Path) -> None:
    first = propose("../evil/model", "heads", "md", tmp_path)
    assert first.parent == tmp_path
    first.touch()
    assert propose("../evil/model", "heads", "md", tmp_path) != first


def test_titles_of_the_empty_frames_are_those_of_the_registry() -> None:
    from interpboard.registry import ANALYSES

    assert {
        name: ANALYSES[name].title.lower() for name in words.PAINTED_FIRST
    } == words.PAINTED_FIRST
