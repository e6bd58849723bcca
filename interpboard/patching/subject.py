"""Finding the subject of a prompt: given as text, as words, or as positions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from interpboard.errors import BadParameter
from interpboard.results import PromptInfo
from interpboard.runs.prompt import resolve_position, show_tokens

_NUMBER = r"\s*-?\d{1,9}\s*"
_PART = rf"(?:{_NUMBER}|(?:{_NUMBER})?:(?:{_NUMBER})?)"
_POSITIONS = re.compile(rf"{_PART}(?:,{_PART})*", re.ASCII)


def subject_positions(
    prompt: PromptInfo, subject: str | Sequence[str] | Sequence[int]
) -> tuple[int, ...]:
    """Positions of the subject's tokens, ascending.

    ``subject``: the text of the subject as it stands in the prompt (its last occurrence, with every
    token that it touches), a list of token or word strings that follow each other, or positions.
    Positions may also be written as text, ``1,2`` or ``1:3`` (1 and 2), negative ones from the end, where
    that text is not itself in the prompt.

    Raises ``BadParameter`` if it is not in the prompt, ``BadPosition``.
    """
    if isinstance(subject, str):
        written = _POSITIONS.fullmatch(subject) and subject.strip() not in "".join(prompt.tokens)
        return _of_numbers(prompt, subject) if written else _of_text(prompt, subject)
    items: list[str | int] = list(subject)
    if not items:
        raise BadParameter("The subject is empty.", "Name words of the prompt.")
    numbers = [item for item in items if isinstance(item, int)]
    if len(numbers) == len(items):
        return tuple(sorted({resolve_position(prompt, number) for number in numbers}))
    return _of_words(prompt, [str(item).strip() for item in items])


def _of_numbers(prompt: PromptInfo, text: str) -> tuple[int, ...]:
    found: set[int] = set()
    length = len(prompt.token_ids)
    for part in text.split(","):
        first, colon, end = (word.strip() for word in part.partition(":"))
        begin = resolve_position(prompt, int(first)) if first else 0
        if not colon:
            found.add(begin)
            continue
        stop = length
        if end and int(end) != length:  # the end is behind the last position
            stop = resolve_position(prompt, int(end))
        if begin >= stop:
            raise BadParameter(
                f"There are no positions {part.strip()}.", "The second is the one behind the last."
            )
        found.update(range(begin, stop))
    return tuple(sorted(found))


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
        "Write it as it stands there, or its positions, as 1,2 or 1:3.",
    )
