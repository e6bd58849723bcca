"""The vocabulary read at once is the one that is read token by token, and what is chosen from it holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from interpboard.engine.protocol import TokenStrings, decode_event, frame
from interpboard.errors import BadTarget
from interpboard.runs.labels import logit_names
from interpboard.runs.prompt import token_text
from interpboard.runs.references import pieces, resolve_token
from interpboard.runs.token_texts import token_texts
from interpboard.runs.vocabulary import token_strings
from tests.lm import tiny_lm
from tests.tiny import tiny_tokenizer


def sentencepiece() -> PreTrainedTokenizerFast:
    """As Llama's: spaces as ``▁``, unknown characters as bytes, a space of its own in front."""
    words = [
        "<unk>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        "▁a",
        "▁Paris",
        "Paris",
        "a",
    ]
    merges = [("▁", "a")]
    vocabulary = {word: at for at, word in enumerate(words)}
    own = Tokenizer(
        models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    own.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    own.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
         decoders.Strip(" ", 1, 0)]
    )  # fmt: skip
    own.pre_tokenizer = pre_tokenizers.Split("x", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=own, unk_token="<unk>")


class Slow:
    """Only the single calls of a tokenizer."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._own(*args, **options)

    def __len__(self) -> int:
        return len(self._own)

    def decode(self, *args: Any, **options: Any) -> str:
        return self._own.decode(*args, **options)

    def convert_ids_to_tokens(self, token: int) -> str:
        return self._own.convert_ids_to_tokens(token)


@pytest.mark.parametrize("kind", ["byte level", "sentencepiece", "slow"])
def test_all_strings_at_once_are_those_of_the_single_tokens(kind: str) -> None:
    lm = tiny_lm()
    if kind == "sentencepiece":
        lm = replace(lm, tokenizer=sentencepiece())
    if kind == "slow":
        lm = replace(lm, tokenizer=Slow(lm.tokenizer))
    found = token_strings(lm)
    assert len(found) == lm.anatomy.d_vocab > 200
    assert found == [token_text(lm.tokenizer, token) for token in range(len(found))]
    assert " a" in found
    assert any(text.startswith("\\x") for text in found)  # parts of characters


class Counting(PreTrainedTokenizerFast):
    """Counts what is decoded. Its texts are its own, so they are asked of it alone."""

    decoded = 0

    def _decode(self, *args: Any, **options: Any) -> str:
        self.decoded += 1
        return super()._decode(*args, **options).upper()


@pytest.mark.parametrize("kind", ["byte level", "sentencepiece", "slow", "own texts"])
def test_the_texts_of_some_tokens_are_those_of_each_and_known_from_then_on(kind: str) -> None:
    def fresh() -> Any:
        if kind == "sentencepiece":
            return sentencepiece()
        if kind == "own texts":
            return Counting(tokenizer_object=sentencepiece().backend_tokenizer, unk_token="<unk>")
        own = tiny_tokenizer()
        return Slow(own) if kind == "slow" else own

    tokenizer = fresh()
    beyond = len(tokenizer) + 7
    ids = [9, 200, 9, beyond, *range(len(tokenizer)), 3]
    single = fresh()
    found = token_texts(tokenizer, ids)
    assert found == [token_text(single, token) for token in ids]
    assert f"#{beyond}" in found
    if kind == "own texts":
        assert " A" in found
        before = tokenizer.decoded
        assert token_texts(tokenizer, ids) == found
        assert tokenizer.decoded == before > 0


def test_names_of_logits_stand_where_their_numbers_do() -> None:
    lm = tiny_lm()
    numbers = np.array([[[5, 9], [9, 5]], [[200, 5], [5, 5]]])
    found = logit_names(lm, numbers)
    assert found.shape == numbers.shape
    for number, name in zip(numbers.flat, found.flat, strict=True):
        assert name == token_text(lm.tokenizer, int(number))


def test_tokens_that_the_model_has_no_logit_for_are_left_out() -> None:
    lm = tiny_lm()
    lm = replace(lm, anatomy=replace(lm.anatomy, d_vocab=100))
    assert len(token_strings(lm)) == 100


def test_a_string_of_the_vocabulary_that_splits_into_itself_is_a_target() -> None:
    lm = tiny_lm()
    single = 0
    for token, text in enumerate(token_strings(lm)):
        found = pieces(lm, text)
        if found.tokens == (text,):
            single += 1
            assert resolve_token(lm, text).id == found.token_ids[0]
            assert found.token_ids[0] == token
        else:
            with pytest.raises(BadTarget):
                resolve_token(lm, text)
    assert single > 100


def test_pieces_say_what_a_word_falls_into() -> None:
    lm = tiny_lm()
    found = pieces(lm, " Eiffelturm")
    assert "".join(found.tokens) == " Eiffelturm"
    assert len(found.tokens) > 1
    assert pieces(lm, "").tokens == ()


@pytest.mark.parametrize("strings", [[], ["a"], ["", " Paris", "\n", "日本", "", "\x00", "é"]])
def test_token_strings_come_back_from_the_packed_message(strings: list[str]) -> None:
    event = decode_event(frame(TokenStrings.of(7, strings))[4:])
    assert isinstance(event, TokenStrings)
    assert event.strings == strings
