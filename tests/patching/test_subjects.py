"""Subjects are found in the text of a prompt, in any script, under any tokenizer."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from interpboard.analyze import analyze
from interpboard.errors import BadParameter
from interpboard.patching.subject import find_subject, subject_positions
from interpboard.results import PromptInfo
from interpboard.results.occurrences import touching
from interpboard.runs.prompt import make_prompt
from tests.tokenizers import KINDS, lm_of

EVERY = pytest.mark.parametrize("kind", KINDS)


def held(prompt: PromptInfo, positions: tuple[int, ...]) -> str:
    """The text of the tokens at ``positions``."""
    spans = [prompt.spans[at] for at in positions]
    return prompt.text[min(b for b, _ in spans) : max(e for _, e in spans)]


@pytest.mark.parametrize("kind", ["llama", "llama, new", "byte level", "llama without offsets"])
def test_a_digit_is_not_found_in_the_bytes_of_an_emoji(kind: str) -> None:
    lm = lm_of(kind)
    text = "Tom is 8 😀 He is happy"
    params = {"causal_trace": {"subject": "8", "samples": 1}}
    result = analyze(lm, text, ("causal_trace",), params=params).results[0]
    prompt = make_prompt(lm, text)
    assert held(prompt, tuple(result.params["subject"])).strip() == "8"
    assert result.warnings == ()


@EVERY
@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("Tom is 日本 is", "日本"),
        ("Tom 😀 is 👍🏽", "👍🏽"),
        ("The café is", "café"),
        ("The cafe\u0301 is", "cafe\u0301"),
        ("Über Ångström is", "Ångström"),
        ("THE EIFFEL is", "EIFFEL"),
        ("\u05d0\u05d1 is \u0645\u0631", "\u0645\u0631"),
    ],
)
def test_subjects_of_any_script_are_the_tokens_that_hold_them(
    kind: str, text: str, subject: str
) -> None:
    prompt = make_prompt(lm_of(kind), text)
    positions = subject_positions(prompt, subject)
    assert subject in held(prompt, positions)
    if "without offsets" not in kind:  # there an unknown word may share more
        whole = held(prompt, positions).strip()
        assert whole == subject
    begin = text.index(subject)
    others = [span for at, span in enumerate(prompt.spans) if at not in positions]
    assert all(e <= begin or b >= begin + len(subject) for b, e in others)


@EVERY
@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.sampled_from(["Tom", "is", "8.", "日本", "é", "e\u0301", "😀", "ﬁn", "x\u200dy", "אב"]),
        min_size=1, max_size=6,
    ),
    st.data(),
)  # fmt: skip
def test_every_character_of_a_subject_is_in_the_tokens_that_it_maps_to(
    kind: str, words: list[str], data: st.DataObject
) -> None:
    text = " ".join(words)
    prompt = make_prompt(lm_of(kind), text)
    begin = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(begin + 1, len(text)))
    subject = text[begin:end].strip()
    assume(subject)
    if not touching(prompt, text.rindex(subject), text.rindex(subject) + len(subject)):
        with pytest.raises(BadParameter, match="leaves it out"):
            find_subject(prompt, subject)
        return
    found = find_subject(prompt, subject)
    first = text.rindex(subject)
    held_at = {at for p in found.positions for at in range(*prompt.spans[p])}
    covered = {at for b, e in prompt.spans for at in range(b, e)}
    assert {at for at in range(first, first + len(subject)) if at in covered} <= held_at
    said = " ".join(found.notes)
    assert ("times" in said) is (text.find(subject) != first)
    beyond = "".join(text[at] for at in held_at if not first <= at < first + len(subject))
    assert ("part of its tokens" in said) is bool(beyond.strip())


def test_accents_are_the_same_however_they_are_encoded() -> None:
    composed, decomposed = "The café is", unicodedata.normalize("NFD", "The café is")
    for kind in ("byte level", "llama", "wordpiece"):
        for text in (composed, decomposed):
            prompt = make_prompt(lm_of(kind), text)
            for subject in ("café", "cafe\u0301"):
                assert held(prompt, subject_positions(prompt, subject)).strip() in text[4:9]
            # A bare letter is not found inside one with an accent.
        with pytest.raises(BadParameter, match="not in the prompt"):
            subject_positions(make_prompt(lm_of(kind), "é"), "e")


def test_a_part_of_a_token_takes_the_whole_and_the_result_says_so() -> None:
    lm = lm_of("byte level")
    prompt = make_prompt(lm, "The Eiffel Tower is")
    found = find_subject(prompt, "iffel")
    assert held(prompt, found.positions) == " Eiffel"
    assert "part of its tokens, “Eiffel”" in found.notes[0]
    params = {
        "causal_trace": {"subject": "iffel", "samples": 1},
        "activation_patching": {"subject": "iffel"},
    }
    document = analyze(lm, prompt.text, tuple(params), params=params)
    for result in document.results:
        assert any("part of its tokens" in warning for warning in result.warnings)


def test_of_several_occurrences_the_last_is_taken_and_how_to_name_another_is_said() -> None:
    prompt = make_prompt(lm_of("byte level"), "John and Mary and John is")
    found = find_subject(prompt, "John")
    assert "2 times" in found.notes[0]
    assert "Positions" in found.notes[0]
    first = find_subject(prompt, "0:1")
    assert first.notes == ()
    assert held(prompt, found.positions).strip() == "John"
    assert found.positions > first.positions


def test_a_subject_is_named_by_a_tokens_id() -> None:
    prompt = make_prompt(lm_of("llama"), "John 日 and John")
    for at in (prompt.token_ids.index(token) for token in prompt.token_ids):
        last = max(p for p, token in enumerate(prompt.token_ids) if token == prompt.token_ids[at])
        assert subject_positions(prompt, f"#{prompt.token_ids[at]}") == (last,)
    with pytest.raises(BadParameter, match="Token #7 is not in the prompt"):
        subject_positions(prompt, "#7")


def test_a_prompt_that_is_kept_as_tokens_takes_positions_only() -> None:
    prompt = PromptInfo("ab", ("a", "b"), (1, 2))
    assert subject_positions(prompt, [1]) == (1,)
    with pytest.raises(BadParameter, match="Name positions"):
        subject_positions(prompt, "a")
