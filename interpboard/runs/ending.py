"""Which tokens end a text that a model writes."""

from __future__ import annotations

from typing import Any

from interpboard.errors import BadParameter
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo


def end_tokens(lm: LanguageModel) -> frozenset[int]:
    """The end-of-text tokens that the tokenizer and the model's settings for generation name."""
    found: set[int] = set()
    for each in (lm.tokenizer, getattr(lm.model, "generation_config", None)):
        named: Any = getattr(each, "eos_token_id", None)
        if named is not None:
            found.update(named if isinstance(named, (list, tuple)) else (named,))
    return frozenset(found)


def require_room_behind(lm: LanguageModel, prompt: PromptInfo, count: int) -> None:
    """Raise ``BadParameter`` unless ``count`` tokens can be written behind ``prompt``."""
    context = lm.anatomy.context
    if count < 1:
        raise BadParameter("A continuation needs at least one token.", "Raise new_tokens.")
    written = len(prompt.token_ids) - prompt.border  # of two strips the context is that of each
    if context is not None and written + count > context:
        raise BadParameter(
            f"{written} tokens and {count} more are beyond the model's context of {context}.",
            "Lower new_tokens.",
        )
