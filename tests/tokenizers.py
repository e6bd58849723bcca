"""Small tokenizers of the kinds that models have: what a text is to each of them differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import transformers as tf
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from interpboard.models.language_model import LanguageModel
from tests.tiny import tiny_model

_SENTENCES = (
    "The Eiffel Tower is located in the city of Paris, France.",
    "When Mary and John went to the store, John gave a drink to Mary.",
    "Tom is 8. He is happy, and n is a letter (or 1-2 of them).",
) * 20
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_BOTH = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def _byte_level(prefix: bool = False, trim: bool = False) -> Tokenizer:
    own = Tokenizer(models.BPE())
    own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    own.decoder = decoders.ByteLevel()
    own.post_processor = processors.ByteLevel(trim_offsets=trim)
    trainer = trainers.BpeTrainer(
        vocab_size=380, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    own.train_from_iterator(_SENTENCES, trainer)
    return own


def byte_level() -> Any:
    """GPT-2's kind."""
    return tf.PreTrainedTokenizerFast(tokenizer_object=_byte_level())


def with_prefix_space() -> Any:
    """RoBERTa's kind: a space of its own in front, and offsets without spaces."""
    return tf.PreTrainedTokenizerFast(tokenizer_object=_byte_level(prefix=True, trim=True))


def spelt_alike() -> Any:
    """GPT-2's kind with added tokens: a special one, and one that is spelt as another."""
    own = _byte_level()
    own.add_tokens([AddedToken("<|end|>", special=True), AddedToken(" Paris", normalized=False)])
    return tf.PreTrainedTokenizerFast(tokenizer_object=own)


def _pieces() -> tuple[list[str], list[tuple[str, str]]]:
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator(
        _SENTENCES, trainers.BpeTrainer(vocab_size=110, show_progress=False)
    )
    model = json.loads(trained.to_str())["model"]
    return list(model["vocab"]), [(a, b) for a, b in model["merges"]]


def _sentencepiece(legacy: bool, template: str) -> Any:
    vocabulary, merges = _pieces()
    words = dict.fromkeys(["<unk>", "<s>", "</s>", *_BYTES, *vocabulary])
    ids = {word: at for at, word in enumerate(words)}
    own = Tokenizer(models.BPE(ids, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    if legacy:
        own.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    else:
        own.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    own.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    own.add_special_tokens(["<s>", "</s>"])
    own.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return tf.PreTrainedTokenizerFast(tokenizer_object=own, **_BOTH)


def llama() -> Any:
    """Llama's first: a space in front by the normaliser, bytes for what is unknown, BOS in front."""
    return _sentencepiece(True, "<s> $A")


def llama_new() -> Any:
    """The same as it is written now."""
    return _sentencepiece(False, "<s> $A")


def both_ends() -> Any:
    """BOS in front and EOS behind."""
    return _sentencepiece(False, "<s> $A </s>")


def unigram() -> Any:
    """T5's kind: NFKC, spaces made one, unknown characters, EOS behind."""
    own = Tokenizer(models.Unigram())
    own.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    own.pre_tokenizer = pre_tokenizers.Metaspace()
    own.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=120, unk_token="<unk>", special_tokens=special, show_progress=False
    )
    own.train_from_iterator(_SENTENCES, trainer)
    own.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=own, eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )


def wordpiece() -> Any:
    """BERT's uncased: lower case, no accents, unknown words."""
    own = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    own.normalizer = normalizers.BertNormalizer(lowercase=True)
    own.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    own.decoder = decoders.WordPiece(cleanup=False)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    own.train_from_iterator(
        [*_SENTENCES, "cafe", "n"] * 2,
        trainers.WordPieceTrainer(vocab_size=160, special_tokens=special, show_progress=False),
    )
    own.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=own, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", pad_token="[PAD]",
    )  # fmt: skip


class NoOffsets:
    """A tokenizer that says nothing of characters."""

    is_fast = False

    def __init__(self, own: Any) -> None:
        self._own = own

    def __call__(self, text: str, **options: Any) -> Any:
        return self._own(text, **options)

    def __len__(self) -> int:
        return len(self._own)

    def __getattr__(self, name: str) -> Any:
        if name == "backend_tokenizer":
            raise AttributeError(name)
        return getattr(self._own, name)


class WrongOffsets(NoOffsets):
    """A tokenizer whose offsets are one character too far on."""

    is_fast = True

    def __call__(self, text: str, **options: Any) -> Any:
        found = dict(self._own(text, **options))
        if "offset_mapping" in found:
            found["offset_mapping"] = [
                (min(b + 1, len(text)), min(e + 1, len(text))) for b, e in found["offset_mapping"]
            ]
        return found


KINDS: dict[str, Callable[[], Any]] = {
    "byte level": byte_level,
    "byte level, a space in front": with_prefix_space,
    "spelt alike": spelt_alike,
    "llama": llama,
    "llama, new": llama_new,
    "both ends": both_ends,
    "unigram": unigram,
    "wordpiece": wordpiece,
    "llama without offsets": lambda: NoOffsets(llama()),
    "llama with wrong offsets": lambda: WrongOffsets(llama()),
    "byte level without offsets": lambda: NoOffsets(byte_level()),
    "wordpiece without offsets": lambda: NoOffsets(wordpiece()),
}


@lru_cache(maxsize=16)
def tokenizer_of(kind: str) -> Any:
    """The tokenizer of a kind, made once."""
    return KINDS[kind]()


@lru_cache(maxsize=16)
def lm_of(kind: str, family: str = "llama") -> LanguageModel:
    """A tiny model that reads by it; its vocabulary is larger than the tokenizer's."""
    return LanguageModel.of(tiny_model(family), tokenizer_of(kind), f"tiny {kind}")
