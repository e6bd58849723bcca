"""Finding the subject of a prompt: given as text, as words, or as positions."""

from __future__ import annotations

from collections.abc import Sequence

from interpboard.errors import BadParameter
from interpboard.results import PromptInfo
from interpboard.runs.prompt import resolve_position, show_tokens


def subject_positions(
    prompt: PromptInfo, subject: str | Sequence[str] | Sequence[int]
) -> tuple[int, ...]:
    """Positions of the subject's tokens, ascending.

    ``subject``: the text of the subject as it stands in the prompt (its last occurrence, with every
    token that it touches), a list of token or word strings that follow each other, or positions.
    Raises ``BadParameter`` if it is not in the prompt, ``BadPosition``.
    """
    if isinstance(subject, str):
        return _of_text(prompt, subject)
    items: list[str | int] = list(subject)
    if not items:
        raise BadParameter("The subject is empty.", "Name words of the prompt.")
    numbers = [item for item in items if isinstance(item, int)]
    if len(numbers) == len(items):
        return tuple(sorted({resolve_position(prompt, number) for number in numbers}))
    return _of_words(prompt, [str(item).strip() for item in items])


def _of_words(prompt: PromptInfo, words: list[str]) -> tuple[int, ...]:
    for joint in (" ", ""):
        text = joint.join(words)
        if text in "".join(prompt.tokens):
            return _of_text(prompt, text)
    raise _not_there(prompt, " ".join(words))


def _of_text(prompt: PromptInfo, text: str) -> tuple[int, ...]:
    wanted = text.strip()
    whole = "".join(prompt.tokens)
    begin = whole.rfind(wanted)
    if not wanted or begin < 0:
        raise _not_there(prompt, text)
    end = begin + len(wanted)
    found, at = [], 0
    for position, token in enumerate(prompt.tokens):
        if at < end and at + len(token) > begin and token:
            found.append(position)
        at += len(token)
    return tuple(found)


def _not_there(prompt: PromptInfo, text: str) -> BadParameter:
    return BadParameter(
        f"The subject {text!r} is not in the prompt: {show_tokens(prompt.tokens)}.",
        "Write it as it stands there.",
    )
