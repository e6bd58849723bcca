"""Every token has its characters of the text, whatever the tokenizer says or does not say."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from interpboard.circuits.neurons.corpora import corpus_files, windows
from interpboard.display import visible_token
from interpboard.errors import BadPrompt
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.results.tokens import appended
from interpboard.runs import encoded
from interpboard.runs.half_characters import _group
from interpboard.runs.prompt import make_prompt, resolve_position, text_prefix, without_appended
from interpboard.runs.spans import _next, _placed, _side_by_side, spans_of
from tests.tiny import tiny_tokenizer
from tests.tokenizers import KINDS, lm_of

EVERY = pytest.mark.parametrize("kind", KINDS)
# The letters that each of them knows, so that its spans can be held against the text.
KNOWN = "Tom is 8. He is happy"


def stretches(prompt: PromptInfo) -> list[str]:
    return [prompt.text[begin:end] for begin, end in prompt.spans]


class _InFront(PreTrainedTokenizerFast):
    """Puts a token in front of a text by itself, of which its post-processor knows nothing."""

    def _encode_plus(self, *args: Any, add_special_tokens: bool = True, **kwargs: Any) -> Any:
        found = super()._encode_plus(*args, add_special_tokens=add_special_tokens, **kwargs)
        if add_special_tokens:
            found["input_ids"] = [7, *found["input_ids"]]
        return found


@pytest.mark.parametrize(
    ("of", "processed", "front", "reads"),
    [
        (PreTrainedTokenizerFast, False, (), 1),
        (PreTrainedTokenizerFast, True, (7,), 2),
        (_InFront, False, (7,), 2),
    ],
)
def test_a_text_is_read_again_with_special_tokens_only_where_there_are_any(
    of: type, processed: bool, front: tuple[int, ...], reads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = tiny_tokenizer()
    tokenizer = of(tokenizer_object=plain.backend_tokenizer)
    if processed:
        token = tokenizer.convert_ids_to_tokens(7)
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{token} $A", special_tokens=[(token, 7)]
        )
    seen: list[bool] = []
    own = encoded._read

    def read(tokenizer: Any, text: str, add_special_tokens: bool) -> Any:
        if text == KNOWN:
            seen.append(add_special_tokens)
        return own(tokenizer, text, add_special_tokens)

    monkeypatch.setattr(encoded, "_read", read)
    found = encoded.encode(tokenizer, KNOWN)
    bare = tuple(plain(KNOWN, add_special_tokens=False)["input_ids"])
    assert (found.ids, found.before) == ((*front, *bare), len(front))
    assert len(seen) == reads


TEXTS = st.text(
    st.one_of(
        st.sampled_from("abTome 8.,!\n\t"),
        st.sampled_from(
            "éÅüßﬁ日本語😀👍🏽\u0301\u0327\u200d\u200f\u05d0\u0627\x00\x1b\ufffd\u2028İ"
        ),
        st.characters(exclude_categories=["Cs"]),
    ),
    min_size=1,
    max_size=14,
)


@EVERY
@settings(max_examples=40, deadline=None)
@given(TEXTS)
@example("8. 😀 e\u0301 ﬁ")
@example(" \u0301a \u200d")
@example("<s>x</s>[UNK]")
@example("\ufffd日\ufffd")
def test_spans_are_ordered_lie_in_the_text_and_cover_it_but_for_what_is_dropped(
    kind: str, text: str
) -> None:
    try:
        prompt = make_prompt(lm_of(kind), text)
    except BadPrompt:  # all of it is dropped, or it is too long for the model
        return
    assert len(prompt.spans) == len(prompt.token_ids) == len(prompt.tokens)
    assert all(0 <= begin <= end <= len(text) for begin, end in prompt.spans)
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(prompt.spans))
    covered = {at for begin, end in prompt.spans for at in range(begin, end)}
    if "byte level" in kind or "llama" in kind or kind in ("spelt alike", "both ends"):
        assert covered == set(range(len(text)))  # these have a token for everything


@EVERY
@settings(max_examples=25, deadline=None)
@given(st.text("Tomishapy 8.", min_size=1, max_size=16).filter(str.strip))
def test_the_characters_of_a_token_are_its_text(kind: str, text: str) -> None:
    prompt = make_prompt(lm_of(kind), text)
    for token, stands, span in zip(prompt.tokens, stretches(prompt), prompt.spans, strict=True):
        if span[0] != span[1] and "unk" not in token.lower():
            folded = stands.lower() if "wordpiece" in kind else stands
            if (
                kind == "wordpiece without offsets"
            ):  # behind an unknown word they share what is left
                assert token.strip() in folded
            else:
                assert token.strip() == folded.strip()


@EVERY
def test_what_the_tokenizer_adds_has_no_characters(kind: str) -> None:
    prompt = make_prompt(lm_of(kind), KNOWN)
    own = prompt.token_ids
    special = set(lm_of(kind).tokenizer.all_special_ids)
    for token, span in zip(own, prompt.spans, strict=True):
        assert (span[0] == span[1]) is (token in special)
    assert "".join(stretches(prompt)) == KNOWN


@pytest.mark.parametrize(
    ("text", "char"), [("8 日 8", "日"), ("a 😀 b", "😀"), ("é", "é"), ("x \u200d", "\u200d")]
)
@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if "wordpiece" not in kind and kind != "unigram"]
)
def test_half_characters_share_the_span_of_their_character_and_are_shown_as_it(
    kind: str, text: str, char: str
) -> None:
    prompt = make_prompt(lm_of(kind), text)
    where = text.index(char)
    holding = [at for at, span in enumerate(prompt.spans) if span == (where, where + 1)]
    parts = len(char.encode())
    assert len(holding) == parts
    labels = [prompt.tokens[at] for at in holding]
    assert labels == [f"{char}[{part + 1}/{parts}]" for part in range(parts)]
    assert len(set(labels)) == parts


def test_a_token_with_the_end_of_one_character_and_the_beginning_of_another_has_both() -> None:
    from interpboard.runs.half_characters import Group

    # " 日本" as the bytes " \xe6\x97", "\xa5\xe6", "\x9c\xac"
    group = Group(0, " 日本", ((0, 2), (1, 3), (2, 3)))
    assert group.shown == (" 日[1/2]", "日[2/2]本[1/2]", "本[2/2]")


def test_marks_that_are_stripped_belong_to_their_letter() -> None:
    for text in ("cafe\u0301 is", "café is"):
        prompt = make_prompt(lm_of("wordpiece"), text)
        assert prompt.tokens[1] == " cafe"
        assert stretches(prompt)[1] == text[: text.index(" ")]


@pytest.mark.parametrize(
    ("kind", "token"), [("llama", "<s>"), ("both ends", "<s>"), ("wordpiece", "[CLS]")]
)
def test_a_beginning_that_the_text_holds_is_not_doubled(kind: str, token: str) -> None:
    lm = lm_of(kind)
    bos = lm.tokenizer.convert_tokens_to_ids(token)
    written = make_prompt(lm, f"{token}{KNOWN}")
    assert written.token_ids.count(bos) == 1
    assert written.spans[0] == (0, len(token))  # that one is of the text
    assert make_prompt(lm, f"{token}{token}{KNOWN}").token_ids.count(bos) == 2  # as written
    assert make_prompt(lm, KNOWN).token_ids[0] == bos


def test_an_end_that_the_text_holds_is_not_doubled_and_is_explained() -> None:
    lm = lm_of("both ends")
    prompt = make_prompt(lm, f"{KNOWN}</s>")
    assert prompt.token_ids.count(2) == 1
    assert appended(prompt) == 0
    assert resolve_position(prompt, -1) == len(prompt.token_ids) - 1


@pytest.mark.parametrize("kind", ["llama", "both ends", "wordpiece", "unigram"])
def test_special_tokens_can_be_left_out(kind: str) -> None:
    lm = lm_of(kind)
    prompt = make_prompt(lm, KNOWN, special_tokens=False)
    assert not set(prompt.token_ids) & set(lm.tokenizer.all_special_ids)
    without = LanguageModel.of(lm.model, lm.tokenizer, special_tokens=False)
    assert make_prompt(without, KNOWN) == prompt
    assert text_prefix(without) == []
    assert not without.info.special_tokens


@pytest.mark.parametrize(
    ("kind", "behind"), [("llama", 0), ("both ends", 1), ("unigram", 1), ("byte level", 0)]
)
@pytest.mark.parametrize("text", [KNOWN, KNOWN + " "])
def test_positions_from_the_end_are_those_of_the_text(kind: str, behind: int, text: str) -> None:
    prompt = make_prompt(lm_of(kind), text)
    length = len(prompt.token_ids)
    assert appended(prompt) == behind
    assert resolve_position(prompt, -1) == length - 1 - behind
    assert resolve_position(prompt, length - 1) == length - 1  # the appended one, if asked for
    assert without_appended(prompt).token_ids == prompt.token_ids[: length - behind]


def test_what_is_put_in_front_of_any_text_holds_nothing_of_what_is_put_behind() -> None:
    assert text_prefix(lm_of("both ends")) == [1]
    assert text_prefix(lm_of("unigram")) == []


def test_half_characters_stay_apart_where_everything_is_shown_in_ascii() -> None:
    prompt = make_prompt(lm_of("byte level"), "日")
    shown = [visible_token(token, ascii_only=True) for token in prompt.tokens]
    assert shown == [f"\\u65e5[{part}/3]" for part in (1, 2, 3)]


def test_a_mark_at_the_beginning_of_a_file_of_text_is_no_text(tmp_path: Path) -> None:
    lm = lm_of("byte level")
    found = []
    for name, mark in (("plain", ""), ("marked", "\ufeff")):
        file = tmp_path / name
        file.write_text(f"{mark}Tom is 8.\nHe is \ufeff happy", encoding="utf-8")
        found.append([window.ids for window in windows(lm, corpus_files(file), 5)])
    assert found[0] == found[1]


class Whole(list[Any]):
    """A list of which no copy is taken: a copy a token is a minute for a page, and an hour for a book."""

    def __getitem__(self, at: Any) -> Any:
        assert isinstance(at, int), "a part of it was copied"
        return super().__getitem__(at)


def test_a_token_looks_at_those_behind_it_without_a_copy_of_them() -> None:
    spans = Whole([(0, 0), (0, 0), (0, 3), (3, 5)])
    assert [_next(spans, at, 5) for at in range(4)] == [0, 0, 3, 5]
    euro = "€".encode()
    halves = Whole([None, euro[:1], euro[1:], None])
    assert _group(0, halves) is None
    found = _group(1, halves)
    assert found is not None
    assert (found.first, found.text) == (1, "€")


@EVERY
def test_a_text_beyond_the_context_is_refused_before_its_tokens_are_placed(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = lm_of(kind)
    context = lm.anatomy.context
    assert context is not None

    def placed(*_: Any) -> None:
        raise AssertionError("the tokens of a book are placed in its text")

    monkeypatch.setattr("interpboard.runs.pair_prompt.spans_of", placed)
    with pytest.raises(BadPrompt, match=f"the model's context is {context}"):
        make_prompt(lm, "Tom is 8. " * context)


@EVERY
@settings(max_examples=30, deadline=None)
@given(
    text=st.text(min_size=1, max_size=24) | st.sampled_from((KNOWN, "a  b", "日本 ab", "e\u0301 é"))
)
def test_tokens_side_by_side_have_the_spans_that_looking_for_them_finds(
    kind: str, text: str
) -> None:
    tokenizer = lm_of(kind).tokenizer
    try:
        made = encoded.encode(tokenizer, text)
    except BadPrompt:
        return
    found = _side_by_side(tokenizer, text, made)
    assert found is None or list(found) == list(_placed(tokenizer, text, made))


def test_a_tokens_characters_that_are_another_tokens_are_not_taken_as_they_are_said() -> None:
    """The tokenizer's own offsets of plain text are taken; of two that are exchanged, or of the tokens of
    another text, none."""
    tokenizer = lm_of("byte level").tokenizer
    own = encoded.encode(tokenizer, "The key is red")
    other = encoded.encode(tokenizer, "The red is key")
    assert _side_by_side(tokenizer, "The key is red", own) == own.offsets
    assert len(own.ids) == len(other.ids)
    assert own.ids != other.ids
    mixed = dataclasses.replace(own, ids=other.ids)
    assert _side_by_side(tokenizer, "The key is red", mixed) is None
    assert _side_by_side(tokenizer, "The key is blue", own) is None
    short = dataclasses.replace(own, offsets=(own.offsets or ())[:-1], ids=own.ids[:-1])
    assert _side_by_side(tokenizer, "The key is red", short) is None
    assert spans_of(tokenizer, "The key is red", own) == own.offsets
