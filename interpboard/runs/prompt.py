"""Prompts: text to tokens, with each token's own text and characters, and positions checked."""

from __future__ import annotations

import torch

from interpboard.errors import BadPosition, BadPrompt
from interpboard.models.crossing import to_device
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.results.tokens import appended
from interpboard.results.two_texts import one_text
from interpboard.runs.encoded import added_tokens, check_unicode
from interpboard.runs.half_characters import shown_tokens
from interpboard.runs.pair_prompt import encoded_text
from interpboard.runs.strip_prompt import strip_prompt
from interpboard.runs.token_texts import anchor_of, show_tokens, token_text

__all__ = [
    "anchor_of",
    "input_ids",
    "make_prompt",
    "require_two_strips",
    "resolve_position",
    "show_tokens",
    "text_prefix",
    "token_text",
    "with_prefix",
    "without_appended",
]


def make_prompt(
    lm: LanguageModel,
    text: str,
    special_tokens: bool | None = None,
    *,
    decoder_text: str | None = None,
) -> PromptInfo:
    """Tokenise ``text`` as the tokenizer does by default. Raises ``BadPrompt``.

    Of an encoder–decoder it is the source, and ``decoder_text`` what its answer begins with; both may also
    be given as one text, ``source ||| prefix``. For a model with labels it may be two, ``first ||| second``.

    ``special_tokens``: whether it is given those that the tokenizer puts around a text (None: as the model
    was opened). Those that the text holds already, a ``<s>`` written in it say, are not put there twice.
    """
    if not text:
        raise BadPrompt("The prompt is empty.", "Type some text.")
    check_unicode(text, "prompt")
    special = lm.special_tokens if special_tokens is None else special_tokens
    if decoder_text is not None:
        text = with_prefix(lm, text, decoder_text)
    if lm.anatomy.strips is not None:
        return strip_prompt(lm, text, special)
    ids, spans = encoded_text(lm, text, special)
    if not ids:
        raise BadPrompt("The prompt has no tokens.", "Type some text.")
    if max(ids) >= lm.anatomy.d_vocab:
        raise BadPrompt(
            f"The tokenizer gives token {max(ids)}, the model knows {lm.anatomy.d_vocab} tokens.",
            "Model and tokenizer do not belong together.",
        )
    return PromptInfo(text, shown_tokens(lm.tokenizer, ids), ids, spans)


def require_two_strips(lm: LanguageModel) -> None:
    """Raise ``BadPrompt`` where the model reads one text."""
    if lm.anatomy.strips is None:
        raise BadPrompt(
            "This model reads one text, which it continues: it has no decoder text of its own.",
            "Leave it out.",
        )


def with_prefix(lm: LanguageModel, text: str, decoder_text: str) -> str:
    """``text`` and ``decoder_text`` as one. Raises ``BadPrompt`` where the model reads one text."""
    require_two_strips(lm)
    check_unicode(decoder_text, "decoder text")
    return one_text(text, decoder_text)


def input_ids(lm: LanguageModel, prompt: PromptInfo) -> torch.Tensor:
    """The prompt's ids [1, pos] on the model's device; an encoder–decoder's, so that it is seen from them
    where the prefix begins."""
    ids = to_device(torch.tensor([prompt.token_ids]), lm.device)
    return ids if lm.anatomy.strips is None else lm.anatomy.strips.code(ids, prompt.border)


def resolve_position(prompt: PromptInfo, position: int) -> int:
    """``position`` counted from the start; negative ones count from the end of the text.

    What a tokenizer puts behind a text, an end-of-text token, can be named from the start only. Raises
    ``BadPosition``.
    """
    length, behind = len(prompt.token_ids), appended(prompt)
    if not behind - length <= position < length:
        last = f"-1 for the last{' of the text' if behind else ''}"
        raise BadPosition(
            f"Position {position} is outside the prompt of {length} tokens.",
            f"Use 0 to {length - 1}, or {last}.",
        )
    return position if position >= 0 else length - behind + position


def without_appended(prompt: PromptInfo) -> PromptInfo:
    """``prompt`` up to the end of its text: what is continued."""
    end = len(prompt.token_ids) - appended(prompt)
    return PromptInfo(
        prompt.text,
        prompt.tokens[:end],
        prompt.token_ids[:end],
        prompt.spans[:end],
        border=prompt.border,
    )


def text_prefix(lm: LanguageModel) -> list[int]:
    """What is put in front of any text: models are at a loss without it."""
    return list(added_tokens(lm.tokenizer)[0]) if lm.special_tokens else []
