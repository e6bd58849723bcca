"""The vocabulary as text: what people choose a target from, and what a text falls into."""

from __future__ import annotations

from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.metrics import ids_inside
from interpboard.runs.prompt import anchor_of, token_text

_REPLACEMENT = "\ufffd"


def token_strings(lm: LanguageModel) -> list[str]:
    """``token_text`` of every token that both the tokenizer and the model know, by id.

    All at once where the tokenizer can do that: 150,000 single calls would take many seconds.
    """
    tokenizer = lm.tokenizer
    known = min(len(tokenizer), lm.anatomy.d_vocab)
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        return [token_text(tokenizer, token) for token in range(known)]
    anchor = anchor_of(tokenizer)
    before = tokenizer.decode([anchor], clean_up_tokenization_spaces=False)
    pairs = [[anchor, token] for token in range(known)]
    strings = []
    for token, both in enumerate(fast.decode_batch(pairs, skip_special_tokens=False)):
        text = both[len(before) :] if both.startswith(before) else _REPLACEMENT
        strings.append(token_text(tokenizer, token) if _REPLACEMENT in text else text)
    return strings


def pieces(lm: LanguageModel, text: str) -> PromptInfo:
    """The tokens that ``text`` is inside a text, without those that begin one.

    One token of the same text: it can be a target. Empty for an empty text.
    """
    ids = ids_inside(lm, text) if text else ()
    return PromptInfo(text, tuple(token_text(lm.tokenizer, i) for i in ids), tuple(ids))
