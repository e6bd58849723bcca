"""Finding the subject of a prompt: given as text, as words, as a token by its id, or as positions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from interpboard.errors import BadParameter
from interpboard.results import PromptInfo
from interpboard.results.occurrences import occurrences, touching
from interpboard.results.tokens import appended, text_at
from interpboard.runs.prompt import resolve_position, show_tokens
from interpboard.runs.references import named_id, plain_text
from interpboard.runs.token_texts import shortened

_NUMBER = r"\s*-?\d{1,9}\s*"
_PART = rf"(?:{_NUMBER}|(?:{_NUMBER})?:(?:{_NUMBER})?)"
_POSITIONS = re.compile(rf"{_PART}(?:,{_PART})*", re.ASCII)


@dataclass(frozen=True)
class Subject:
    """``positions`` of its tokens, ascending. ``notes``: what was chosen, where there was a choice."""

    positions: tuple[int, ...]
    notes: tuple[str, ...] = ()


def subject_positions(
    prompt: PromptInfo, subject: str | Sequence[str] | Sequence[int]
) -> tuple[int, ...]:
    """The positions of ``find_subject``, which has the errors too."""
    return find_subject(prompt, subject).positions


def find_subject(prompt: PromptInfo, subject: str | Sequence[str] | Sequence[int]) -> Subject:
    """The tokens of a subject.

    ``subject``: the text of the subject as it stands in the prompt's text (its last occurrence, with every
    token that it touches), a list of words that follow each other, or positions. ``#161`` is the last token
    with that id. Positions may also be written as text, ``1,2`` or ``1:3`` (1 and 2), negative ones from the
    end, where that text is not itself in the prompt. A letter with an accent is the same however it is
    encoded.

    Where it occurs several times, or is only a part of its tokens, a note says so. Raises ``BadParameter``
    if it is not in the prompt, ``BadPosition``.
    """
    if isinstance(subject, str):
        number = named_id(subject.strip())
        if number is not None:
            return _of_id(prompt, number)
        written = _POSITIONS.fullmatch(subject) and subject.strip() not in prompt.text
        if written:
            return Subject(_of_numbers(prompt, subject))
        return _of_text(prompt, plain_text(subject.strip()))
    items: list[str | int] = list(subject)
    if not items:
        raise BadParameter("The subject is empty.", "Name words of the prompt.")
    numbers = [item for item in items if isinstance(item, int)]
    if len(numbers) == len(items):
        return Subject(tuple(sorted({resolve_position(prompt, number) for number in numbers})))
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
        stop = length - appended(prompt)
        if end and int(end) != length:  # the end is behind the last position
            stop = resolve_position(prompt, int(end))
        if begin >= stop:
            raise BadParameter(
                f"There are no positions {part.strip()}.", "The second is the one behind the last."
            )
        found.update(range(begin, stop))
    return tuple(sorted(found))


def _of_id(prompt: PromptInfo, number: int) -> Subject:
    found = [at for at, token in enumerate(prompt.token_ids) if token == number]
    if not found:
        shown = " ".join(
            f"{show_tokens((token,))} #{id}"
            for token, id in zip(prompt.tokens[:12], prompt.token_ids, strict=False)
        )
        raise BadParameter(
            f"Token #{number} is not in the prompt: {shown}{' …' if len(prompt.tokens) > 12 else ''}.",
            f"The text #{number} is written \\#{number}.",
        )
    several = [_several(f"Token #{number}", len(found), found[-1:])] if len(found) > 1 else []
    return Subject((found[-1],), tuple(several))


def _of_words(prompt: PromptInfo, words: list[str]) -> Subject:
    for joint in (" ", ""):
        text = joint.join(words)
        if occurrences(prompt.text, text):
            return _of_text(prompt, text)
    raise _not_there(prompt, " ".join(words))


def _of_text(prompt: PromptInfo, text: str) -> Subject:
    if not prompt.spans:
        raise BadParameter(
            "This prompt is kept as tokens: no text can be found in it.", "Name positions."
        )
    places = occurrences(prompt.text, text)
    if not places:
        raise _not_there(prompt, text)
    begin, end = places[-1]
    positions = touching(prompt, begin, end)
    if not positions:
        raise BadParameter(
            f"No token of the prompt holds {shortened(text)!r}: the tokenizer leaves it out.",
            "Name other words, or positions.",
        )
    notes = []
    short = shortened(text)
    if len(places) > 1:
        notes.append(_several(f"“{short}”", len(places), positions))
    whole = text_at(prompt, positions)
    if _around(prompt, positions, begin, end).strip():
        wide = shortened(whole.strip())
        notes.append(
            f"The subject “{short}” is a part of its tokens, “{wide}”: they are taken whole."
        )
    return Subject(positions, tuple(notes))


def _around(prompt: PromptInfo, positions: tuple[int, ...], begin: int, end: int) -> str:
    """What the tokens hold beside the characters ``[begin, end)``."""
    first = min(prompt.spans[at][0] for at in positions)
    last = max(prompt.spans[at][1] for at in positions)
    return prompt.text[first:begin] + prompt.text[end:last]


def _several(what: str, count: int, positions: Sequence[int]) -> str:
    taken = ",".join(map(str, positions))
    return f"{what} is in the prompt {count} times: the last, at {taken}. Positions name another."


def _not_there(prompt: PromptInfo, text: str) -> BadParameter:
    return BadParameter(
        f"The subject {shortened(text)!r} is not in the prompt: {show_tokens(prompt.tokens)}.",
        "Write it as it stands there, or its positions, as 1,2 or 1:3.",
    )
