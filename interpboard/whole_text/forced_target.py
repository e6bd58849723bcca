"""A target that an encoder–decoder is made to write: which of its tokens have a loss."""

from __future__ import annotations

from msgspec.structs import replace

from interpboard.errors import BadParameter, BadPrompt
from interpboard.models.language_model import LanguageModel
from interpboard.results import PromptInfo
from interpboard.runs.prompt import make_prompt


def forced_target(lm: LanguageModel, text: str, limit: int) -> PromptInfo:
    """``text``, ``source ||| target``, with the first ``limit`` tokens of the target's words (0: all).

    Raises ``BadPrompt`` where there is no target.
    """
    prompt = make_prompt(lm, text)
    begin = begin_of_words(prompt)
    if begin == len(prompt.token_ids):
        raise BadPrompt(
            "There is no target whose tokens could have a loss.",
            "Write it behind |||, or give it as the decoder text.",
        )
    if not limit or begin + limit >= len(prompt.token_ids):
        return prompt
    end = begin + limit
    return replace(
        prompt,
        tokens=prompt.tokens[:end],
        token_ids=prompt.token_ids[:end],
        spans=prompt.spans[:end],
    )


def begin_of_words(prompt: PromptInfo) -> int:
    """The position of the target's first word: in front of it stands what begins any target."""
    begin = prompt.border
    while begin < len(prompt.spans) and prompt.spans[begin][0] == prompt.spans[begin][1]:
        begin += 1
    return begin


def refuse_windows(window: int, stride: int) -> None:
    """Raise ``BadParameter`` for windows: a source is read whole."""
    if window or stride:
        raise BadParameter(
            "An encoder–decoder reads its source whole: there are no windows.",
            "Leave window and stride out.",
        )
