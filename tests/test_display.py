"""No string of a model or a user acts on the terminal, and columns stay columns."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from interpboard.display import fit, visible, visible_token

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
