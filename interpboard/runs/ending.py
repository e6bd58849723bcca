"""Which tokens end a text that a model writes."""

from __future__ import annotations

from typing import Any

from interpboard.models.language_model import LanguageModel


def end_tokens(lm: LanguageModel) -> frozenset[int]:
    """The end-of-text tokens that the tokenizer and the model's settings for generation name."""
    found: set[int] = set()
    for each in (lm.tokenizer, getattr(lm.model, "generation_config", None)):
        named: Any = getattr(each, "eos_token_id", None)
        if named is not None:
            found.update(named if isinstance(named, (list, tuple)) else (named,))
    return frozenset(found)
