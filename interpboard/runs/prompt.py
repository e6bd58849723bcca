"""Prompts: text to tokens, with each token's own text, and positions checked."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from transformers.convert_slow_tokenizer import bytes_to_unicode

from interpboard.display import visible
from interpboard.errors import BadPosition, BadPrompt
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo

_REPLACEMENT = "\ufffd"


def make_prompt(lm: LanguageModel, text: str) -> PromptInfo:
    """Tokenise ``text`` as the tokenizer does by default. Raises ``BadPrompt``."""
    if not text:
        raise BadPrompt("The prompt is empty.", "Type some text.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadPrompt(
            "The prompt is not valid UTF-8.", "Check the terminal's encoding."
        ) from None
    ids = tuple(int(i) for i in lm.tokenizer(text)["input_ids"])
    if not ids:
        raise BadPrompt("The prompt has no tokens.", "Type some text.")
    if max(ids) >= lm.anatomy.d_vocab:
        raise BadPrompt(
            f"The tokenizer gives token {max(ids)}, the model knows {lm.anatomy.d_vocab} tokens.",
            "Model and tokenizer do not belong together.",
        )
    context = lm.anatomy.context
    if context is not None and len(ids) > context:
        raise BadPrompt(
            f"The prompt has {len(ids)} tokens, the model's context is {context}.", "Shorten it."
        )
    return PromptInfo(text, tuple(token_text(lm.tokenizer, i) for i in ids), ids)


def input_ids(lm: LanguageModel, prompt: PromptInfo) -> torch.Tensor:
    """The prompt's ids [1, pos] on the model's device."""
    return torch.tensor([prompt.token_ids], device=lm.device)


def resolve_position(prompt: PromptInfo, position: int) -> int:
    """``position`` counted from the start; negative ones count from the end. Raises ``BadPosition``."""
    length = len(prompt.token_ids)
    if not -length <= position < length:
        raise BadPosition(
            f"Position {position} is outside the prompt of {length} tokens.",
            f"Use 0 to {length - 1}, or -1 for the last.",
        )
    return position % length


def token_text(tokenizer: Any, token_id: int) -> str:
    """The text of one token, leading space included; half a character as ``\\xNN``."""
    # Decoded behind another token, since some decoders strip the first one's space.
    anchor = anchor_of(tokenizer)
    before = tokenizer.decode([anchor], clean_up_tokenization_spaces=False)
    both = tokenizer.decode([anchor, token_id], clean_up_tokenization_spaces=False)
    text: str = both[len(before) :] if both.startswith(before) else tokenizer.decode([token_id])
    return _bytes_shown(tokenizer, token_id) if _REPLACEMENT in text else text


def show_tokens(tokens: tuple[str, ...]) -> str:
    """Tokens side by side for a message: ``'The' ' Eiffel'``."""
    return " ".join(f"'{visible(token)}'" for token in tokens)


@lru_cache(maxsize=8)
def anchor_of(tokenizer: Any) -> int:
    """A token of plain text, to decode others behind."""
    ids = tokenizer("a", add_special_tokens=False)["input_ids"]
    return int(ids[-1]) if ids else 0


@lru_cache(maxsize=1)
def _byte_of() -> dict[str, int]:
    return {char: byte for byte, char in bytes_to_unicode().items()}


def _bytes_shown(tokenizer: Any, token_id: int) -> str:
    raw: str = tokenizer.convert_ids_to_tokens(token_id)
    if raw.startswith("<0x") and raw.endswith(">"):  # sentencepiece's byte tokens
        return f"\\x{raw[3:-1].lower()}"
    known = _byte_of()
    if not all(char in known for char in raw):
        return raw
    data = bytes(known[char] for char in raw)
    return data.decode(errors="backslashreplace")
