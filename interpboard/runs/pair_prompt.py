"""Two texts as one prompt, ``first ||| second``: what cross-encoders and models of inference read.

What stands around and between them is the tokenizer's own. A model that tells the two apart by segments
(BERT) is given them with every run: they follow from the token between, which is checked here.
"""

from __future__ import annotations

from typing import Any

import torch

from interpboard.errors import BadPrompt
from interpboard.models.language_model import LanguageModel
from interpboard.models.segments import segments_of
from interpboard.results.two_texts import BARS, two_texts
from interpboard.runs.encoded import Encoded, added_tokens, encode
from interpboard.runs.spans import spans_of
from interpboard.runs.too_long import refuse_far_too_long

Spans = tuple[tuple[int, int], ...]


def encoded_text(
    lm: LanguageModel, text: str, special_tokens: bool
) -> tuple[tuple[int, ...], Spans]:
    """The ids of ``text``, which may be a pair where the model gives labels, and each token's characters.

    Raises ``BadPrompt``, also where there are more tokens than the model can read.
    """
    refuse_far_too_long(lm.tokenizer, text, lm.anatomy.context)
    if lm.anatomy.label_head is not None and BARS in text:
        ids, spans = _pair(lm, text, special_tokens)
        _refuse_long(lm, ids)
    else:
        encoded = encode(lm.tokenizer, text, special_tokens)
        _refuse_long(lm, encoded.ids)  # first: a book is refused before its tokens are placed
        ids, spans = encoded.ids, spans_of(lm.tokenizer, text, encoded) if encoded.ids else ()
    if lm.anatomy.separator is not None and ids:
        _refuse_other_segments(lm, text, ids)
    return ids, spans


def _refuse_long(lm: LanguageModel, ids: tuple[int, ...]) -> None:
    context = lm.anatomy.context
    if context is not None and len(ids) > context:
        raise BadPrompt(
            f"The prompt has {len(ids)} tokens, the model's context is {context}.", "Shorten it."
        )


def _pair(lm: LanguageModel, text: str, special_tokens: bool) -> tuple[tuple[int, ...], Spans]:
    if text.count(BARS) > 1 or f"{BARS}|" in text:
        raise BadPrompt(
            f"The prompt has {BARS} more than once: a pair is two texts, one on each side.",
            "Leave one.",
        )
    if not special_tokens:
        raise BadPrompt(
            "A pair needs the tokens that the tokenizer puts around and between two texts.",
            "Open the model without --no-special-tokens.",
        )
    first, second, begin = two_texts(text)
    if not first.strip() or not second.strip():
        raise BadPrompt("A text of the pair is empty.", f"Write one on each side of {BARS}.")
    one, other = (encode(lm.tokenizer, part, special_tokens=False) for part in (first, second))
    whole = tuple(lm.tokenizer(first, second)["input_ids"])
    front, after = added_tokens(lm.tokenizer)
    middle = len(front) + len(one.ids)
    at = len(whole) - len(after) - len(other.ids)
    between = whole[middle:at]
    if at < middle or whole != (*front, *one.ids, *between, *other.ids, *after):
        raise BadPrompt("The tokenizer does not put the two texts of a pair side by side.")
    spans = (
        *((0, 0),) * len(front),
        *_spans(lm, first, one, 0),
        *((len(first), len(first)),) * len(between),
        *_spans(lm, second, other, begin),
        *((len(text), len(text)),) * len(after),
    )
    return whole, spans


def _spans(lm: LanguageModel, text: str, encoded: Encoded, begin: int) -> Spans:
    return tuple((a + begin, b + begin) for a, b in spans_of(lm.tokenizer, text, encoded))


def _refuse_other_segments(lm: LanguageModel, text: str, ids: tuple[int, ...]) -> None:
    """Raise ``BadPrompt`` where the tokenizer has other segments than those the model will be given."""
    texts = two_texts(text)[:2] if BARS in text else (text,)
    own: Any = lm.tokenizer(*texts)
    given = segments_of(lm.anatomy, torch.tensor([ids]))
    assert given is not None
    if tuple(own["input_ids"]) == ids and own["token_type_ids"] != given[0].tolist():
        name = lm.tokenizer.sep_token
        raise BadPrompt(
            f"The text holds {name}, which tells this model where a second text begins.",
            f"Write a pair as two texts with {BARS} between them.",
        )
    if tuple(own["input_ids"]) != ids and given.any():
        raise BadPrompt(
            "The tokens are not those that the tokenizer makes of the text, so its segments are not known."
        )
