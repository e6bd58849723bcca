"""A text far above what a model can read is refused by its beginning: to tokenise a book takes two hundred
times its bytes."""

from __future__ import annotations

from typing import Any

from interpboard.errors import BadPrompt
from interpboard.runs.encoded import encode

_SHORT = 1 << 16  # characters: as long a text is tokenised whole, and its tokens are counted
_OF_A_TOKEN = 6  # characters that most texts have no more of


def refuse_far_too_long(
    tokenizer: Any, text: str, context: int | None, what: str = "prompt"
) -> None:
    """Raise ``BadPrompt`` where a beginning of ``text`` has more tokens by a quarter than ``context``.

    Beginnings twice as long are tried one after the other, for what a tokenizer takes away, spaces say. The
    quarter is for the last word of a beginning, which may be cut otherwise than within the text.
    """
    if context is None:
        return
    size = max(_SHORT, _OF_A_TOKEN * context)
    while size < len(text):
        tokens = len(encode(tokenizer, text[:size], special_tokens=False).ids)
        if tokens > context + context // 4:
            raise BadPrompt(
                f"The {what} is too long: its first {size:,} of {len(text):,} characters have {tokens:,} "
                f"tokens, the model's context is {context}.",
                "Shorten it.",
            )
        size *= 2
