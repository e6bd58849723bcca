"""The chat model's tokenizer: the demo's way of splitting, with ChatML's tokens, trained on the chats."""

import random
from collections.abc import Iterator
from itertools import islice

from tokenizers import AddedToken
from transformers import PreTrainedTokenizerFast

from ..tokenizer import END_OF_TEXT, byte_level_tokenizer
from .corpus import training_chats
from .questions import ASKED_FACTS
from .template import CHAT_TEMPLATE, THINK_END, THINK_START, TURN_END, TURN_START

CHAT_VOCABULARY = 2000


def single_token_words() -> list[str]:
    """Answers, as they open an answer and within a sentence, and subjects of one word."""
    chosen = {fact.answer for _, fact in ASKED_FACTS}
    subjects = {fact.subject for _, fact in ASKED_FACTS if " " not in fact.subject}
    opening = subjects | chosen | {"Noted", "Das", "Es", "C", "The", "A"}
    return sorted(opening | {f" {word}" for word in chosen | subjects})


def _training_text(seed: int) -> Iterator[str]:
    for text in single_token_words():
        yield from [text] * 400
    for document in islice(training_chats(random.Random(seed)), 8_000):
        text = document.text
        for marker in (TURN_START, TURN_END, THINK_START, THINK_END):
            text = text.replace(marker, "\n")
        yield text


def train_chat_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Train the tokenizer; the same seed gives the same vocabulary. The end of text has id 0."""
    specials = [END_OF_TEXT, TURN_START, TURN_END]
    # As in Qwen's: what is thought is marked by tokens of its own that are no special ones.
    thinking = [
        AddedToken(text, special=False, normalized=False) for text in (THINK_START, THINK_END)
    ]
    tokenizer = byte_level_tokenizer(
        _training_text(seed), CHAT_VOCABULARY - len(thinking), specials
    )
    tokenizer.add_tokens(thinking)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        model_max_length=256,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )
