"""A token is named by its text inside a text, or by its id: the same everywhere."""

from __future__ import annotations

import copy
import dataclasses
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard.analyze import analyze
from interpboard.attribution.baselines import baseline_embeddings
from interpboard.errors import BadParameter, BadPrompt, BadTarget, InterpBoardError
from interpboard.patching import swap_span
from interpboard.patching.subject import subject_positions
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt, token_text
from interpboard.runs.references import pieces, resolve_token
from interpboard.runs.vocabulary import token_strings
from tests.tokenizers import KINDS, lm_of

EVERY = pytest.mark.parametrize("kind", KINDS)
TEXT = "Tom is 8. He is happy"


@EVERY
def test_every_token_can_be_named_by_its_id(kind: str) -> None:
    lm = lm_of(kind)
    strings = token_strings(lm)
    assert len(strings) == lm.anatomy.d_vocab
    for token in (0, 3, 40, len(strings) - 1):
        assert resolve_token(lm, f"#{token}").id == token
        assert resolve_token(lm, f"#{token}").token == strings[token]
        assert pieces(lm, f"#{token}").token_ids == (token,)


@EVERY
def test_a_text_that_the_vocabulary_has_is_that_token_or_the_way_to_it_is_said(kind: str) -> None:
    lm = lm_of(kind)
    strings = token_strings(lm)
    for token in range(0, len(strings), 7):
        try:
            found = resolve_token(lm, strings[token])
        except BadTarget as error:
            # The advice holds the id: followed, it is the token.
            named = [int(id) for id in re.findall(r"#(\d+)", error.remedy)]
            assert token in named or strings[token].startswith("#")
            assert resolve_token(lm, f"#{named[0]}").id == named[0]
        else:
            assert found.token == strings[found.id] or found.token == strings[token]


def test_a_label_of_an_id_beyond_the_tokenizer_is_its_name() -> None:
    for kind in ("byte level", "llama", "unigram", "wordpiece", "llama without offsets"):
        lm = lm_of(kind)
        last = lm.anatomy.d_vocab - 1
        assert last >= len(lm.tokenizer)
        assert token_text(lm.tokenizer, last) == f"#{last}"
        assert resolve_token(lm, f"#{last}").id == last


def test_tokens_of_the_same_spelling_are_told_apart_by_id() -> None:
    lm = lm_of("spelt alike")
    alike = [token for token, text in enumerate(token_strings(lm)) if text == " Paris"]
    assert len(alike) == 2
    assert [resolve_token(lm, f"#{token}").id for token in alike] == alike
    assert resolve_token(lm, " Paris").id in alike


def test_half_a_character_is_chosen_by_id_and_the_refusal_says_so() -> None:
    for kind in ("byte level", "llama", "llama, new"):
        lm = lm_of(kind)
        first = make_prompt(lm, "a 日").token_ids[-3]
        label = token_text(lm.tokenizer, first)
        assert label == "\\xe6"
        for text in (label, "日"):
            with pytest.raises(BadTarget) as caught:
                resolve_token(lm, text)
            assert f"#{first}" in caught.value.remedy
        assert resolve_token(lm, f"#{first}").id == first


@pytest.mark.parametrize("text", ["#161", "\\#161", "#0"])
def test_a_text_that_looks_like_an_id_is_written_with_a_backslash(text: str) -> None:
    lm = lm_of("byte level")
    prompt = make_prompt(lm, f"a{text}")
    assert pieces(lm, f"\\{text}").token_ids == prompt.token_ids[1:]
    positions = subject_positions(prompt, f"\\{text}")
    assert positions == tuple(range(1, len(prompt.token_ids)))


@pytest.mark.parametrize("text", ["#420", "#99999999999999999999", "#" + "9" * 5000])
def test_an_id_that_the_model_does_not_have_is_refused_in_a_short_line(text: str) -> None:
    with pytest.raises(BadTarget, match=r"#0 to #419") as caught:
        resolve_token(lm_of("llama"), text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "kind", ["llama", "llama, new", "llama without offsets", "both ends", "unigram"]
)
@pytest.mark.parametrize("text", ["n", ",", "is"])
def test_a_baseline_is_the_token_that_a_target_of_the_same_text_is(kind: str, text: str) -> None:
    lm = lm_of(kind)
    target = resolve_token(lm, text)
    assert target.token == text  # not with a space in front
    prompt = make_prompt(lm, "Tom is")
    own = lm.anatomy.embedding.weight[target.id]
    for name in (text, f"#{target.id}"):
        given = baseline_embeddings(lm, prompt, "text", name)
        assert torch.equal(given, own.expand_as(given))


def test_an_occlusion_by_text_is_that_of_the_token_and_not_of_another() -> None:
    lm = lm_of("llama")

    def occluded(text: str) -> np.ndarray:
        params = {"occlusion": {"baseline": "text", "baseline_text": text}}
        return analyze(lm, "Tom is", ("occlusion",), params=params).results[0].values

    bare = resolve_token(lm, "n").id
    np.testing.assert_array_equal(occluded("n"), occluded(f"#{bare}"))
    other = [t for t, s in enumerate(token_strings(lm)) if s.strip() == "n" and t != bare]
    assert all(np.abs(occluded("n") - occluded(f"#{t}")).max() > 1e-4 for t in other)


@EVERY
@settings(max_examples=30, deadline=None)
@given(
    st.one_of(
        st.text(max_size=12),
        st.text("\ud800\udfff\x00\u202e\u05d0\u0301日#\\0123 a", max_size=8),
        st.from_regex(r"\\{0,3}#[0-9]{0,12}", fullmatch=True),
    )
)
def test_any_text_is_a_token_or_one_of_our_errors(kind: str, text: str) -> None:
    lm = lm_of(kind)
    said = []
    for name in ("target", "foil"):
        try:
            found = resolve_token(lm, text, name)
        except BadTarget as error:
            said.append(str(error))
        else:
            assert 0 <= found.id < lm.anatomy.d_vocab
    prompt = make_prompt(lm, TEXT)
    for ask in (
        lambda: subject_positions(prompt, text),
        lambda: swap_span(lm, TEXT, "Tom", text),
        lambda: swap_span(lm, TEXT, text, "Tom"),
        lambda: baseline_embeddings(lm, prompt, "text", text),
        lambda: make_prompt(lm, text),
    ):
        try:
            ask()
        except InterpBoardError as error:
            said.append(str(error))
    assert all(len(line) < 4000 and "\n" not in line for line in said)


def test_half_of_a_surrogate_pair_is_named_as_what_is_wrong() -> None:
    lm = lm_of("llama")
    for text in ("\ud800", " a\udfff"):
        with pytest.raises(BadTarget, match="not valid UTF-8"):
            resolve_token(lm, text)
        with pytest.raises(BadPrompt, match="not valid UTF-8"):
            make_prompt(lm, text)


def test_a_very_long_target_is_refused_in_a_line_that_can_be_read() -> None:
    for words in (25_000, 400):
        with pytest.raises(BadTarget, match="token") as caught:
            resolve_token(lm_of("byte level"), "Tom " * words)
        assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("kind", ["both ends", "unigram"])
def test_what_the_tokenizer_appends_is_explained_only_where_it_is_asked_for(kind: str) -> None:
    lm = lm_of(kind)
    prompt = make_prompt(lm, "Tom is")
    last = len(prompt.token_ids) - 1
    metric = resolve_metric(lm, prompt, MetricRequest())
    assert metric.info.position == last - 1
    bare = make_prompt(lm, "Tom is", special_tokens=False)
    assert prompt.token_ids[metric.info.position] == bare.token_ids[-1]
    assert resolve_metric(lm, prompt, MetricRequest(position=last)).info.position == last
    document = analyze(lm, "Tom is", ("predictions",))
    for said in (document.to_text(), document.to_markdown()):
        assert "the end of the text, in front of" in said.replace("\n", " ")
    plain = analyze(lm_of("llama"), "Tom is", ("predictions",))
    assert "the end of the text" not in plain.to_text()


def test_an_exchange_may_name_tokens_by_id() -> None:
    for kind in ("byte level", "llama, new"):
        lm = lm_of(kind)
        ids = {name: resolve_token(lm, f" {name}").id for name in ("John", "Mary")}
        text = "When Mary and John went to"
        swapped = "When Mary and Mary went to"
        assert swap_span(lm, text, "John", f"#{ids['Mary']}") == swapped
        assert swap_span(lm, text, f"#{ids['John']}", "Mary") == swapped
        half = make_prompt(lm, "a 日").token_ids[-1]
        with pytest.raises((BadParameter, BadPrompt)):
            swap_span(lm, text, "John", f"#{half}")


def test_an_exchange_under_a_tokenizer_that_lower_cases_and_strips_accents() -> None:
    lm = lm_of("wordpiece")
    assert swap_span(lm, "When Mary and John went", "John", "Mary") == "When Mary and Mary went"
    assert swap_span(lm, "The café is in Paris", "café", "city") == "The city is in Paris"


def test_an_exchange_in_other_scripts_keeps_everything_beside_it() -> None:
    for kind in ("byte level", "llama"):
        lm = lm_of(kind)
        assert swap_span(lm, "😀 日本 is 語", "本", "語") == "😀 日語 is 語"
        assert swap_span(lm, "é 8 is é", "é", "ü", occurrence=0) == "ü 8 is é"


def test_a_token_that_the_tokenizer_gets_later_is_named_from_then_on() -> None:
    lm = lm_of(next(iter(KINDS)))
    own = copy.deepcopy(lm.tokenizer)
    lm = dataclasses.replace(lm, tokenizer=own)
    assert resolve_token(lm, "Tom") == resolve_token(lm, "Tom")
    with pytest.raises(BadTarget, match="The target"):
        resolve_token(lm, "Tomyzq")
    with pytest.raises(BadTarget, match="The foil"):  # each in the words of who asks
        resolve_token(lm, "Tomyzq", "foil")
    own.add_tokens(["Tomyzq"])
    assert resolve_token(lm, "Tomyzq").id == len(own) - 1
