"""What can be told of a prompt's tokens by their spans alone."""

from __future__ import annotations

from interpboard.results.info import PromptInfo


def appended(prompt: PromptInfo) -> int:
    """How many tokens at the end are no part of the text: what the tokenizer puts behind it."""
    held = [at for at, (begin, end) in enumerate(prompt.spans) if begin != end]
    return len(prompt.spans) - 1 - held[-1] if held else 0


def text_at(prompt: PromptInfo, positions: tuple[int, ...]) -> str:
    """The text that the tokens at ``positions``, which follow each other, stand in."""
    if not prompt.spans:
        return "".join(prompt.tokens[at] for at in positions)
    held = [prompt.spans[at] for at in positions if prompt.spans[at][0] < prompt.spans[at][1]]
    return prompt.text[held[0][0] : held[-1][1]] if held else ""
