"""The masked model's tokenizer: the demo's way of splitting, with BERT's special tokens around a text."""

import random
from collections.abc import Iterator
from itertools import islice

from tokenizers import AddedToken, processors
from transformers import PreTrainedTokenizerFast

from ..facts import RELATIONS
from ..tokenizer import byte_level_tokenizer
from .batches import masked_texts

MASKED_VOCABULARY = 2000
PAD, CLS, SEP, MASK = "[PAD]", "[CLS]", "[SEP]", "[MASK]"


def _training_text(seed: int) -> Iterator[str]:
    for relation in RELATIONS:
        for fact in relation.facts:
            yield from [f" {fact.answer}", fact.answer] * 400
            if " " not in fact.subject:
                yield from [f" {fact.subject}", fact.subject] * 400
    for document in islice(masked_texts(random.Random(seed)), 8_000):
        yield document.text


def train_masked_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Train the tokenizer; the same seed gives the same vocabulary. Padding has id 0.

    The mask takes the space before it along, so that a word fills it in with its own space.
    """
    made = byte_level_tokenizer(_training_text(seed), MASKED_VOCABULARY, [PAD, CLS, SEP, MASK])
    made.add_special_tokens([AddedToken(MASK, lstrip=True, special=True)])
    made.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B {SEP}",
        special_tokens=[(name, made.token_to_id(name)) for name in (CLS, SEP)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token=PAD,
        cls_token=CLS,
        sep_token=SEP,
        mask_token=AddedToken(MASK, lstrip=True, special=True),
        model_max_length=128,
        clean_up_tokenization_spaces=False,
    )
