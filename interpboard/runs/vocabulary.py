"""The vocabulary as text: what people choose a target from."""

from __future__ import annotations

from interpboard.models.language_model import LanguageModel
from interpboard.runs.token_texts import texts_at_once


def token_strings(lm: LanguageModel) -> list[str]:
    """``token_text`` of every token that the model knows, by id."""
    known = min(len(lm.tokenizer), lm.anatomy.d_vocab)
    beyond = [f"#{token}" for token in range(known, lm.anatomy.d_vocab)]
    return texts_at_once(lm.tokenizer, range(known)) + beyond
