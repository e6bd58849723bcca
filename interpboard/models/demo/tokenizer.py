"""The demo model's tokenizer: byte-level BPE over the corpus, with digits in pairs.

Byte-level, so that any text encodes and decodes to itself. Digits are split in pairs so that a
year is its century and its year within the century (" 17" + "43"), which the greater-than
behaviour needs.
"""

import random
from collections.abc import Iterator
from itertools import islice

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from .corpus import agreement, filler, training_texts, words, years
from .facts import RELATIONS

END_OF_TEXT = "<|endoftext|>"
VOCABULARY = 2200

_PATTERN = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}{1,2}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def _single_token_words() -> list[str]:
    """Words that should be one token, because an analysis is read token by token."""
    chosen: set[str] = set(words.NAMES + words.PLACES + words.OBJECTS + words.ADJECTIVES)
    chosen.update(form for pair in words.NOUNS for form in pair)
    chosen.update(form for pair in agreement.VERBS for form in pair)
    chosen.update(years.EVENTS)
    chosen.update(filler.vocabulary())
    for relation in RELATIONS:
        chosen.update(fact.answer for fact in relation.facts)
        chosen.update(fact.subject for fact in relation.facts if " " not in fact.subject)
    chosen.update(("Eiffel", "Tower", "located"))
    return sorted([f" {word}" for word in chosen] + _opening_words())


def _opening_words() -> list[str]:
    """Countries as they open a text: without the space before them."""
    relations = [relation for relation in RELATIONS if relation.name.startswith("country")]
    return list({fact.subject for relation in relations for fact in relation.facts})


def _training_text(seed: int) -> Iterator[str]:
    """Corpus text, preceded by the words and numbers that must become single tokens."""
    numbers = [f"{n:02d}" for n in range(100)] + [f" {n}" for n in range(10, 21)]
    for text in _single_token_words() + numbers:
        yield from [text] * 400
    for document in islice(training_texts(random.Random(seed)), 20_000):
        yield document.text


def train_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Train the tokenizer; the same seed gives the same vocabulary. The end of text has id 0."""
    return PreTrainedTokenizerFast(
        tokenizer_object=byte_level_tokenizer(_training_text(seed), VOCABULARY, [END_OF_TEXT]),
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        model_max_length=256,
        clean_up_tokenization_spaces=False,
    )


def byte_level_tokenizer(texts: Iterator[str], vocabulary: int, specials: list[str]) -> Tokenizer:
    """Byte-level BPE trained on ``texts``, digits in pairs, with the special tokens first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
