"""The vocabulary as text: what people choose a target from."""

from __future__ import annotations

from interpboard.models.language_model import LanguageModel
from interpboard.runs.token_texts import REPLACEMENT, anchor_of, token_text


def token_strings(lm: LanguageModel) -> list[str]:
    """``token_text`` of every token that the model knows, by id.

    All at once where the tokenizer can do that: 150,000 single calls would take many seconds.
    """
    tokenizer = lm.tokenizer
    known = min(len(tokenizer), lm.anatomy.d_vocab)
    beyond = [f"#{token}" for token in range(known, lm.anatomy.d_vocab)]
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        return [token_text(tokenizer, token) for token in range(known)] + beyond
    anchor = anchor_of(tokenizer)
    before = tokenizer.decode([anchor], clean_up_tokenization_spaces=False)
    pairs = [[anchor, token] for token in range(known)]
    strings = []
    for token, both in enumerate(fast.decode_batch(pairs, skip_special_tokens=False)):
        text = both[len(before) :] if both.startswith(before) else REPLACEMENT
        plain = text and REPLACEMENT not in text
        strings.append(text if plain else token_text(tokenizer, token))
    return strings + beyond
