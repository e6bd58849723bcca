"""Prompts of encoder–decoders: a source, and what the target begins with, as the model is given them.

The prefix begins as in training: with the token that begins a target, and what the tokenizer puts in front
of one (a language, say). Both are read off the model's own shift of a target to the right.
"""

from __future__ import annotations

from typing import Any

import torch

from interpboard.errors import BadPrompt
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.results.two_texts import SEPARATOR, two_texts
from interpboard.runs.encoded import Encoded, encode
from interpboard.runs.half_characters import shown_tokens
from interpboard.runs.spans import spans_of
from interpboard.runs.too_long import refuse_far_too_long


def strip_prompt(lm: LanguageModel, text: str, special_tokens: bool) -> PromptInfo:
    """``text``, ``source ||| prefix``, as both strips. Raises ``BadPrompt``."""
    source, prefix, begin = two_texts(text)
    if not source.strip():
        raise BadPrompt("The source is empty.", "Type a text in front of |||.")
    for what, strip in (("source", source), ("prefix", prefix)):
        refuse_far_too_long(lm.tokenizer, strip, lm.anatomy.context, what)
    of_source = encode(lm.tokenizer, source, special_tokens)
    if not of_source.ids:
        raise BadPrompt("The source has no tokens.", "Type some text.")
    front, of_prefix = _prefix(lm, prefix, special_tokens)
    ids = (*of_source.ids, *front, *of_prefix.ids)
    _check(lm, ids, len(of_source.ids))
    spans = (
        *spans_of(lm.tokenizer, source, of_source),
        *((begin, begin),) * len(front),
        *((a + begin, b + begin) for a, b in spans_of(lm.tokenizer, prefix, of_prefix)),
    )
    border = len(of_source.ids)
    tokens = (
        *shown_tokens(lm.tokenizer, of_source.ids),
        *shown_tokens(lm.tokenizer, (*front, *of_prefix.ids)),
    )
    return PromptInfo(str(text), tokens, ids, spans, border=border)


def in_same_strips(clean: PromptInfo, text: str) -> str:
    """``text`` with the prefix of ``clean``, if it names none and ``clean`` has one."""
    if not clean.border or SEPARATOR.strip() in text:
        return text
    prefix = two_texts(clean.text)[1]
    return f"{text}{SEPARATOR}{prefix}" if prefix else text


def refuse_another_border(clean: PromptInfo, other: PromptInfo, what: str) -> None:
    """Raise ``BadPrompt`` where the strips of two prompts are not of the same lengths: positions of one would
    be others of the other, whatever the length of both together."""
    ends = [(each.border, len(each.token_ids) - each.border) for each in (clean, other)]
    if clean.border and ends[0] != ends[1]:
        (source, prefix), (other_source, other_prefix) = ends
        raise BadPrompt(
            f"The prompt has {source} tokens of source and {prefix} of prefix, the {what} {other_source} and "
            f"{other_prefix}.",
            "Choose one that is equally long in both.",
        )


def _prefix(lm: LanguageModel, prefix: str, special: bool) -> tuple[tuple[int, ...], Encoded]:
    """What stands in front of the words of a target, and the words."""
    words = encode(lm.tokenizer, prefix, special_tokens=False) if prefix else Encoded((), ())
    before, after = _around_target(lm.tokenizer) if special else ((), ())
    # A target is shifted by one: without an end of its own it would lose its last word.
    target = (*before, *words.ids, *(after or (_end(lm),)))
    shifted = _shifted(lm, target)
    kept = shifted[: len(shifted) - max(0, len(after) - 1)]
    front = kept[: len(kept) - len(words.ids)]
    if kept[len(front) :] != words.ids or not front:
        raise BadPrompt(
            "What the model makes of the target's beginning does not end in its words.",
            "Leave the prefix out.",
        )
    return front, words


def _around_target(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What the tokenizer puts in front of a target, and behind it."""
    whole = tuple(tokenizer(text_target="a")["input_ids"])
    bare = tuple(tokenizer(text_target="a", add_special_tokens=False)["input_ids"])
    for at in range(len(whole) - len(bare) + 1):
        if whole[at : at + len(bare)] == bare:
            return whole[:at], whole[at + len(bare) :]
    return (), ()


def _end(lm: LanguageModel) -> int:
    end = lm.model.config.eos_token_id
    return end if isinstance(end, int) else 0


def _shifted(lm: LanguageModel, target: tuple[int, ...]) -> tuple[int, ...]:
    shift = getattr(lm.model, "prepare_decoder_input_ids_from_labels", None)
    start = getattr(lm.model.config, "decoder_start_token_id", None)
    try:
        if shift is not None:
            return tuple(shift(torch.tensor([target], device=lm.device))[0].tolist())
    except (ValueError, TypeError, AttributeError) as error:
        raise BadPrompt(f"The model does not say how its target begins ({error}).") from error
    if not isinstance(start, int):
        raise BadPrompt(
            "The model's configuration does not say how its target begins.",
            "Set decoder_start_token_id.",
        )
    return (start, *target[:-1])


def _check(lm: LanguageModel, ids: tuple[int, ...], border: int) -> None:
    if max(ids) >= lm.anatomy.d_vocab:
        raise BadPrompt(
            f"The tokenizer gives token {max(ids)}, the model knows {lm.anatomy.d_vocab} tokens.",
            "Model and tokenizer do not belong together.",
        )
    context = lm.anatomy.context
    for what, length in (("source", border), ("prefix", len(ids) - border)):
        if context is not None and length > context:
            raise BadPrompt(
                f"The {what} has {length} tokens, the model's context is {context}.", "Shorten it."
            )
