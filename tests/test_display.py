"""No string of a model or a user acts on the terminal, and columns stay columns."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from interpboard.display import (
    fit,
    has_right_to_left,
    kept_apart,
    line_kept_apart,
    visible,
    visible_token,
)
from interpboard.results import layer_axis, token_axis
from interpboard.visualization.terminal import render
from tests import sample

anything = st.text(st.characters(), max_size=40)  # lone surrogates included


@given(anything)
def test_nothing_that_is_shown_can_act(text: str) -> None:
    categories = {unicodedata.category(char) for char in visible(text)}
    assert not categories & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(anything)
def test_a_string_stays_on_one_line_and_can_be_written_as_utf8(text: str) -> None:
    assert len(visible(text).splitlines()) <= 1
    visible(text).encode("utf-8")


@given(anything)
def test_with_ascii_only_nothing_else_is_left(text: str) -> None:
    assert visible(text, ascii_only=True).isascii()
    assert visible_token(text, ascii_only=True).isprintable()


@given(anything)
def test_a_token_is_shown_without_a_plain_space(text: str) -> None:
    assert " " not in visible_token(text)


@given(anything)
def test_what_is_visible_already_is_left_alone_without_spaces(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@given(anything, st.integers(0, 30), st.sampled_from(["…", "~", ""]))
def test_fitting_gives_exactly_the_width_asked_for(text: str, width: int, ellipsis: str) -> None:
    assert cell_len(fit(visible(text), width, ellipsis=ellipsis)) == width


@given(st.text(max_size=30), st.integers(0, 12))
def test_fitting_keeps_the_width_even_of_joined_emoji(text: str, width: int) -> None:
    joined = text + "👩\u200d👩\u200d👧\u2764\ufe0f1\ufe0f\u20e3"
    assert cell_len(fit(joined, width)) == width


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" Paris", "·Paris"),
        ("\n\n", "⏎⏎"),
        ("\t", "⇥"),
        ("\x1b[31m", "␛[31m"),
        ("a\x00b\x7f\r", "a␀b␡␍"),
        ("\x9b2J", "\\x9b2J"),
        ("\u200bx\u202e", "\\u200bx\\u202e"),
        ("\ud83d", "\\ud83d"),
        ("\ufffd", "\ufffd"),
        ("\xa0a", "\\xa0a"),
        ("é", "é"),
        ("日本語", "日本語"),
        ("[/bold]<script>", "[/bold]<script>"),
    ],
)
def test_each_hostile_character_has_its_picture(text: str, shown: str) -> None:
    assert visible_token(text) == shown


def test_in_running_text_every_kind_of_space_is_a_space() -> None:
    assert visible("a\xa0b\u3000c") == "a b c"


def test_marks_stay_on_their_letters_so_that_hindi_can_be_read() -> None:
    assert visible("हिन्दी e\u0301") == "हिन्दी e\u0301"


def test_a_mark_without_a_letter_gets_a_circle_instead_of_climbing_on_our_own_text() -> None:
    assert visible("\u0301") == visible("\u0301", space="·") == "◌\u0301"
    assert visible(" \u0301") == " ◌\u0301"
    assert visible("\n\u0301") == "⏎◌\u0301"


def test_marks_piled_up_on_a_letter_cannot_climb_over_other_lines() -> None:
    assert visible("e" + "\u0301" * 5) == "e\u0301\u0301" + "\\u0301" * 3


def test_characters_drawn_as_nothing_are_shown() -> None:
    assert visible("a\u3164b\u2800c\ufe0f") == "a\\u3164b\\u2800c\\ufe0f"


@pytest.mark.parametrize(
    ("text", "width", "fitted"),
    [
        ("Paris", 7, "Paris  "),
        ("Paris", 5, "Paris"),
        ("Paris", 4, "Par…"),
        ("Paris", 1, "…"),
        ("Paris", 0, ""),
        ("Paris", -3, ""),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日… "),
        ("日本語", 2, "… "),
    ],
)
def test_fitting_cuts_with_an_ellipsis_and_pads_with_spaces(
    text: str, width: int, fitted: str
) -> None:
    assert fit(text, width) == fitted


SEQUENCES = (
    "👩\u200d👩\u200d👧", "🇫🇷", "👍🏽", "❤\ufe0f", "1\ufe0f\u20e3",
    "👩🏽\u200d🚀", "می\u200cخواهم", "🏴\U000e0067",
)  # fmt: skip


@given(st.lists(st.sampled_from([*SEQUENCES, "a", " ", "日", "\n", "ש"]), max_size=8).map("".join))
def test_pictures_that_terminals_would_join_are_as_wide_apart_as_together(text: str) -> None:
    for shown in (visible(text), visible_token(text)):
        assert cell_len(shown) == sum(map(cell_len, shown))


@given(anything)
def test_any_text_is_as_wide_as_its_characters_where_it_is_cut_anywhere(text: str) -> None:
    """What is drawn in two pieces takes no more cells, or fewer, than in one: no joining across a cut."""
    shown = visible(text)
    for at in range(len(shown)):
        if unicodedata.category(shown[at]) not in ("Mn", "Mc"):
            assert cell_len(shown[:at]) + cell_len(shown[at:]) == cell_len(shown)


@pytest.mark.parametrize(
    ("text", "shown", "token"),
    [
        ("👩\u200d👧", "👩‿👧", "👩\\u200d👧"),
        ("🇫🇷", "ⒻⓇ", "ⒻⓇ"),
        ("👍🏽", "👍³", "👍³"),
        ("❤\ufe0f", "❤", "❤\\ufe0f"),
        ("1\ufe0f\u20e3", "1□", "1\\ufe0f\\u20e3"),
        ("می\u200cخواهم", "می˽خواهم", "می\\u200cخواهم"),
        ("a\ufe0f", "a\\ufe0f", "a\\ufe0f"),
        ("\u200d", "\\u200d", "\\u200d"),
        ("\u200fx", "\\u200fx", "\\u200fx"),
    ],
)
def test_running_text_reads_as_it_is_meant_and_a_token_says_what_it_is_made_of(
    text: str, shown: str, token: str
) -> None:
    assert visible(text) == shown
    assert visible_token(text) == token


def _turned(line: str) -> list[str]:
    """What a terminal that turns right-to-left text round puts at each place: runs of such letters, with
    what is neutral or a number between and behind them, are turned. After UAX #9, for one line."""
    kinds = [unicodedata.bidirectional(char) for char in line]
    runs: list[tuple[int, int]] = []
    start = end = -1
    for at, kind in enumerate(kinds):
        if kind in ("R", "AL", "AN"):
            start, end = (at if start < 0 else start), at
        elif kind == "EN" and start >= 0:
            end = at
        elif kind == "L" and start >= 0:
            runs.append((start, end))
            start = -1
    if start >= 0:
        runs.append((start, end))
    places = list(line)
    for first, last in runs:
        places[first : last + 1] = places[first : last + 1][::-1]
    return places


@given(st.lists(st.sampled_from(["שלום", "مرحبا", "Paris", "2024", "ש1", ",", "-.4"]), max_size=7))
def test_right_to_left_cells_keep_their_places_where_a_terminal_turns_text_round(
    words: list[str],
) -> None:
    cells = [f" {fit(word, 6)}" for word in words]
    kept = kept_apart(cells)
    assert [cell_len(cell) for cell in kept] == [cell_len(cell) for cell in cells]
    assert not any("\u2066" <= char <= "\u2069" for cell in kept for char in cell)
    places = _turned("".join(kept))
    for at, word in enumerate(
        words
    ):  # the letters of each are in its own cells, in whichever order
        own = places[7 * at : 7 * at + 7]
        assert sorted("".join(own).replace("ˑ", " ").split()) == sorted(
            "".join(sorted(fit(word, 6).strip())).split()
        ) or sorted("".join(own).replace("ˑ", "").replace(" ", "")) == sorted(word)


def test_a_line_without_such_text_is_left_alone() -> None:
    cells = [" Paris", "  -.42", " 日本"]
    assert kept_apart(cells) == cells
    assert not has_right_to_left("日本 -.42 Paris")


def test_the_cells_of_a_text_page_stay_in_their_columns() -> None:
    tokens = ("שלום", " עולם", " ok", " טוב", "מאוד")
    axes = (layer_axis(2), token_axis(tokens))
    values = np.linspace(-1, 1, 10).reshape(2, 5)
    document = sample.document(
        sample.result("causal_trace", axes, values, params={"state": "resid", "subject": [0]}),
        sample.result("saliency", axes[1:], values[0]),
        tokens=tokens,
    )
    cells = [line for line in render(document, 60).split("\n") if "שלום" in line and "טוב" in line]
    cells = [line for line in cells if not line.startswith("prompt: ")]
    assert len(cells) == 2  # the heads of the grid, and the strip
    for line in cells:
        assert line_kept_apart(line) == line
    assert "ˑ" in render(document, 60)
    turned = _turned(line_kept_apart(" שלום 12 עולם  .5"))
    assert "".join(turned)[6:8] == "12"
    assert "".join(turned)[-2:] == ".5"
