"""Corrupted prompts: only the named span changes, and nothing moves."""

from __future__ import annotations

import pytest

from interpboard.errors import BadParameter, BadPrompt
from interpboard.patching import ActivationPatcher, swap_span, swap_subjects
from interpboard.runs.prompt import make_prompt
from tests.lm import tiny_lm

STORY = "When Mary and John went to the store, John gave a drink to"


def test_the_last_occurrence_is_exchanged_unless_another_is_named() -> None:
    lm = tiny_lm()
    swapped = "When Mary and John went to the store, Mary gave a drink to"
    assert swap_span(lm, STORY, "John", "Mary") == swapped
    assert swap_span(lm, STORY, " John ", " Mary") == swapped  # spaces around are ignored
    first = "When Mary and Mary went to the store, John gave a drink to"
    assert swap_span(lm, STORY, "John", "Mary", occurrence=0) == first
    assert swap_span(lm, STORY, "John", "Mary", occurrence=-2) == first
    every = swap_span(lm, STORY, "John", "Mary", occurrence=None)
    assert every == STORY.replace("John", "Mary")
    clean, corrupted = make_prompt(lm, STORY), make_prompt(lm, swapped)
    pairs = zip(clean.tokens, corrupted.tokens, strict=True)
    assert [pair for pair in pairs if pair[0] != pair[1]] == [(" John", " Mary")]


def test_two_prompts_exchange_their_subjects() -> None:
    first, second = "The keys to the cabinet are", "Mary went to the table in"
    assert swap_subjects(tiny_lm(), first, second, "cabinet", "table") == (
        "The keys to the table are",
        "Mary went to the cabinet in",
    )


def test_spans_of_other_lengths_are_refused_with_both_tokenisations() -> None:
    with pytest.raises(BadPrompt, match=r"' Mary'.*' gave'.* against .*'\. Choose"):
        swap_span(tiny_lm(), STORY, "John", "Mary and John")


def test_an_exchange_that_changes_tokens_beside_it_is_refused() -> None:
    with pytest.raises(BadPrompt, match="tokens beside it"):
        swap_span(tiny_lm(), "gave 's Mary", "'s", "tgave")


@pytest.mark.parametrize(("span", "options"), [("Paul", {}), ("", {}), ("John", {"occurrence": 2})])
def test_what_is_not_in_the_text_is_refused(span: str, options: dict) -> None:
    with pytest.raises(BadParameter):
        swap_span(tiny_lm(), STORY, span, "Mary", **options)


def test_the_same_text_is_refused_as_its_own_corruption() -> None:
    with pytest.raises(BadPrompt, match="the same"):
        swap_span(tiny_lm(), STORY, "John", "John")


def test_the_patcher_makes_the_prompt_it_patches() -> None:
    lm = tiny_lm()
    with ActivationPatcher(lm.model, lm.tokenizer) as patcher:
        corrupted = patcher.corrupt(STORY, "John", "Mary")
        assert patcher.patch(STORY, corrupted).params["corrupted"] == corrupted
