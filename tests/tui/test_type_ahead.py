"""Which tokens fit what was typed, in which order, and what is said of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.session.type_ahead import MOST_MATCHES, SearchableVocabulary, advice, matches

WORDS = (
    "the",
    " par",
    "Paris",
    " Paris",
    " Parisian",
    "comparison",
    " paris",
    "\n",
    "\\n",
    "İx",
    "",
)


def found(typed: str, words: tuple[str, ...] = WORDS) -> list[str]:
    return [match.text for match in matches(SearchableVocabulary(words), typed)]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("Paris", ["Paris", " Paris", " Parisian", " paris", "comparison"]),
        ("Par", ["Paris", " Paris", " Parisian", " par", " paris", "comparison"]),
        (" Paris", [" Paris", " Parisian", " paris"]),
        (" par", [" par", " paris", " Paris", " Parisian"]),
        ("PARIS", ["Paris", " Paris", " Parisian", " paris", "comparison"]),
        ("omp", ["comparison"]),
        ("\\n", ["\\n", "\n"]),
        ("⏎", ["\n"]),
        ("zebra", []),
        ("", []),
    ],
)
def test_order_of_what_fits(typed: str, expected: list[str]) -> None:
    assert found(typed) == expected


def test_ids_are_places_in_the_vocabulary_and_the_first_of_equal_texts_is_exact() -> None:
    words = SearchableVocabulary(("a", "b", "a", " a"))
    assert [match.id for match in matches(words, "a")] == [0, 3, 2]
    assert words.id_of("a") == 0
    assert words.id_of("c") is None


def test_no_more_than_can_be_looked_through() -> None:
    words = tuple(f" w{at}" for at in range(5000))
    assert len(found("w", words)) == MOST_MATCHES
    assert found("w4999", words) == [" w4999"]


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(st.text(max_size=6), max_size=30, unique=True),
    typed=st.text(min_size=1, max_size=4),
)
def test_exactly_the_tokens_that_contain_it_fit_and_those_that_are_it_come_first(
    words: list[str], typed: str
) -> None:
    words = [word for word in words if word.isascii()]
    if not typed.isascii() or "\\" in typed:
        return
    fits = found(typed, tuple(words))
    assert sorted(fits) == sorted(word for word in words if typed.lower() in word.lower())
    if typed in words:
        assert fits[0] == typed


@pytest.mark.parametrize(
    ("typed", "pieces", "expected"),
    [
        ("", None, ""),
        (" Paris", None, ""),
        (" Paris", (" Paris",), ""),
        (
            "Paris",
            ("Paris",),
            "No leading space: inside a text the word is “·Paris”, another token.",
        ),
        ("Par", ("P", "ar"), "“Par” is 2 tokens: P ar."),
        ("par", ("p", "ar"), "“par” is 2 tokens: p ar. “·par” is one."),
        ("par", None, "No token is “par”. “·par” is one."),
        ("the", ("t", "he"), "“the” is 2 tokens: t he."),  # in the vocabulary, yet never made
        ("zebra", ("<unk>",), "The tokenizer reads “zebra” as “<unk>”."),
        ("zebra", None, "No token is “zebra”."),
        ("\x1b[", ("\x1b", "["), "“␛[” is 2 tokens: ␛ [."),
    ],
)
def test_advice(typed: str, pieces: tuple[str, ...] | None, expected: str) -> None:
    assert advice(SearchableVocabulary(WORDS), typed, pieces) == expected


def test_an_id_is_typed_as_such_and_names_what_no_text_does() -> None:
    words = SearchableVocabulary(("!", " a", "\\xe6", "!", "#1", "#5"))
    assert matches(words, "#3")[0].id == 3
    assert [match.id for match in matches(words, "#9")] == []
    assert [words.reference(id) for id in range(6)] == ["#0", " a", "#2", "#3", "#4", "#5"]
    assert advice(words, "!", ("!",)) == (
        "Several tokens are “!”: choose one, or type its id, as #161."
    )
    assert advice(words, "#3", ("!",)) == "#3 is the token “!”."
