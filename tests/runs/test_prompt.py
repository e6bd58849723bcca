"""Prompts, tokens' own texts, targets and positions."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from interpboard.errors import BadParameter, BadPosition, BadPrompt, BadTarget
from interpboard.results import MetricRequest
from interpboard.runs.metrics import resolve_metric
from interpboard.runs.prompt import make_prompt, resolve_position, token_text
from interpboard.runs.references import resolve_token
from tests.lm import TEXT, tiny_lm


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=15))
def test_any_text_becomes_tokens_whose_texts_are_the_text_again(text: str) -> None:
    prompt = make_prompt(tiny_lm(), text)
    assert len(prompt.tokens) == len(prompt.token_ids)
    if all(span != next_span for span, next_span in pairwise(prompt.spans)):
        assert "".join(prompt.tokens) == text  # no character was split over tokens


def test_half_a_character_is_shown_as_its_character() -> None:
    assert make_prompt(tiny_lm(), "é").tokens == ("é[1/2]", "é[2/2]")
    assert token_text(tiny_lm().tokenizer, make_prompt(tiny_lm(), "é").token_ids[0]) == "\\xc3"


def test_a_decoder_that_strips_the_first_space_does_not_lose_it_here() -> None:
    vocab = {"<unk>": 0, "▁Paris": 1, "a": 2, "▁a": 3, "Paris": 4, "<0xE2>": 5}
    bpe = Tokenizer(models.BPE(vocab, [], unk_token="<unk>", byte_fallback=True))
    bpe.pre_tokenizer = pre_tokenizers.Metaspace()
    bpe.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe)
    assert tokenizer.decode([1]) == "Paris"  # what would be shown without care
    assert token_text(tokenizer, 1) == " Paris"
    assert token_text(tokenizer, 4) == "Paris"
    assert token_text(tokenizer, 5) == "\\xe2"


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(BadPrompt, match="empty"):
        make_prompt(tiny_lm(), "")


def test_a_prompt_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(BadPrompt, match="UTF-8"):
        make_prompt(tiny_lm(), "caf\udce9")


def test_a_prompt_beyond_the_context_says_both_lengths() -> None:
    with pytest.raises(BadPrompt, match=r"65 tokens, the model's context is 64"):
        make_prompt(tiny_lm(), "\n" * 65)
    assert len(make_prompt(tiny_lm(), "\n" * 64).token_ids) == 64


@pytest.mark.parametrize(("given_position", "resolved"), [(0, 0), (-1, 8), (-9, 0), (8, 8)])
def test_positions_count_from_either_end(given_position: int, resolved: int) -> None:
    assert resolve_position(_nine(), given_position) == resolved


@pytest.mark.parametrize("position", [9, -10])
def test_a_position_outside_the_prompt_is_refused(position: int) -> None:
    with pytest.raises(BadPosition, match="0 to 8"):
        resolve_position(_nine(), position)


def test_a_target_of_several_tokens_names_them_and_the_way_out() -> None:
    lm = tiny_lm()
    assert resolve_token(lm, " Eiffel").token == " Eiffel"
    with pytest.raises(BadTarget, match="' Eiffel' ' Tower'") as caught:
        resolve_token(lm, " Eiffel Tower")
    assert "first, ' Eiffel'" in caught.value.remedy
    with pytest.raises(BadTarget) as caught:
        resolve_token(lm, "Eiffel")
    assert "leading space, ' Eiffel'" in caught.value.remedy
    with pytest.raises(BadTarget, match="empty"):
        resolve_token(lm, "")


def test_without_a_target_the_models_own_top_token_is_explained() -> None:
    lm = tiny_lm()
    prompt = make_prompt(lm, TEXT)
    metric = resolve_metric(lm, prompt, MetricRequest(position=3))
    logits = lm.model(**lm.tokenizer(TEXT, return_tensors="pt")).logits[0, 3]
    assert metric.target_id == int(logits.argmax())
    assert metric.info.position == 3


def test_unknown_metrics_and_missing_foils_are_refused() -> None:
    lm = tiny_lm()
    prompt = make_prompt(lm, TEXT)
    with pytest.raises(BadParameter, match="logits") as caught:
        resolve_metric(lm, prompt, MetricRequest("logits"))
    assert "logit?" in caught.value.remedy
    with pytest.raises(BadTarget, match="needs a foil"):
        resolve_metric(lm, prompt, MetricRequest("logit_diff"))


def _nine():
    prompt = make_prompt(tiny_lm(), TEXT)
    assert len(prompt.tokens) >= 9
    return type(prompt)(TEXT, prompt.tokens[:9], prompt.token_ids[:9])
