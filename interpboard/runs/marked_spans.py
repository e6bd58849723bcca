"""Spans of a prompt that a user marks: by positions, or by the text that stands there.

What could be meant in two ways is refused: a text that is there twice, a part of a token, spans that overlap.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from interpboard.errors import BadParameter
from interpboard.results import PromptInfo
from interpboard.results.occurrences import occurrences, touching
from interpboard.results.tokens import text_at
from interpboard.runs.token_texts import shortened

# Positions win over the same characters in the prompt: what the app marks is never read as a text.
_POSITIONS = re.compile(r"\s*\d{1,9}\s*(?:-\s*\d{1,9}\s*)?", re.ASCII)


def marked_spans(
    prompt: PromptInfo, spans: str | Sequence[str], reach: int | None = None
) -> list[tuple[int, int]]:
    """Positions ``[begin, end)`` of each span, ascending.

    ``spans``: positions, ``2-5,7-9`` (from 2 to 5 and from 7 to 9, both ends among them; ``7`` is one token),
    or texts of the prompt, apart by ``;``; in a list each is one of these. A text that looks like positions
    is written in double quotes. ``reach``: the position behind the last that has a part in the metric.

    Raises ``BadParameter`` where there are none, where a span is not in the prompt, stands behind ``reach``
    or overlaps another one, and where a text is there several times or is a part of its tokens.
    """
    length = len(prompt.token_ids)
    reach = length if reach is None else reach
    found = sorted(place for item in _items(spans) for place in _places(prompt, item, length))
    if not found:
        raise BadParameter(
            "There are no spans.", "Mark some with the parameter spans, e.g. spans=2-5,7-9."
        )
    for begin, end in found:
        if end > reach:
            raise BadParameter(
                f"The span {_said(begin, end)} goes beyond position {reach - 1}, which is explained.",
                "What stands behind it has no part in it.",
            )
    for (first, end), (begin, last) in pairwise(found):
        if begin < end:
            raise BadParameter(
                f"The spans {_said(first, end)} and {_said(begin, last)} overlap.",
                "A token is in one span.",
            )
    return found


def _items(spans: str | Sequence[str]) -> list[str]:
    if isinstance(spans, str):
        return [item for item in spans.split(";") if item.strip()]
    if not isinstance(spans, Sequence) or not all(isinstance(item, str) for item in spans):
        raise BadParameter("Spans are texts or positions.", "Write e.g. 2-5,7-9.")
    return [item for item in spans if item.strip()]


def _places(prompt: PromptInfo, item: str, length: int) -> list[tuple[int, int]]:
    parts = item.split(",")
    if all(_POSITIONS.fullmatch(part) for part in parts):
        return [_of_numbers(part, length) for part in parts]
    bare = item.strip()
    if len(bare) > 2 and bare[0] == bare[-1] == '"':
        bare = bare[1:-1]
    return [_of_text(prompt, bare)]


def _of_numbers(part: str, length: int) -> tuple[int, int]:
    first, dash, last = part.partition("-")
    begin = int(first)
    end = int(last) + 1 if dash else begin + 1
    if end <= begin:
        raise BadParameter(f"The span {part.strip()} ends before it begins.")
    if end > length:
        raise BadParameter(
            f"The span {part.strip()} is not in the prompt.", f"Its positions are 0-{length - 1}."
        )
    return begin, end


def _of_text(prompt: PromptInfo, text: str) -> tuple[int, int]:
    if not prompt.spans:
        raise BadParameter(
            "This prompt is kept as tokens: no text can be found in it.", "Name positions."
        )
    places, short = occurrences(prompt.text, text), shortened(text)
    if not places:
        raise BadParameter(
            f"The span {short!r} is not in the prompt.",
            "Write it as it stands there, or its positions, as 2-5.",
        )
    if len(places) > 1:
        raise BadParameter(
            f"The span {short!r} is in the prompt {len(places)} times.", "Name positions, as 2-5."
        )
    positions = touching(prompt, *places[0])
    if not positions:
        raise BadParameter(
            f"No token of the prompt holds {short!r}: the tokenizer leaves it out.",
            "Name other words, or positions.",
        )
    begin, end = places[0]
    first, last = prompt.spans[positions[0]][0], max(prompt.spans[at][1] for at in positions)
    if (prompt.text[first:begin] + prompt.text[end:last]).strip():
        raise BadParameter(
            f"The span {short!r} is a part of its tokens, {shortened(text_at(prompt, positions))!r}.",
            "Name these, or positions.",
        )
    return positions[0], positions[-1] + 1


def _said(begin: int, end: int) -> str:
    return f"{begin}-{end - 1}" if end - begin > 1 else str(begin)
