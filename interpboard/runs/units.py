"""Units of a prompt: tokens, words, sentences, turns of a chat, spans that a user marks."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from interpboard.errors import BadParameter
from interpboard.registry.marks import UNITS
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.results.tokens import own_of_template, reasoning_in
from interpboard.runs.marked_spans import marked_spans

_WORD = re.compile(r"\S+")
# Up to a full stop, question or exclamation mark with what closes a quotation, or a line's end.
_SENTENCE = re.compile(r"[^\n]*?[.!?。！？…]+[\"'»”’)\]]*(?=\s|$|[^\x00-\x7f])|[^\n]+", re.DOTALL)


OF_TEMPLATE = "template: "
"""In front of the label of what a chat's template puts around the words of a turn."""


@dataclass(frozen=True)
class Unit:
    """``positions`` of the prompt that belong together, and what they are called."""

    label: str
    positions: tuple[int, ...]


def units_of(
    prompt: PromptInfo, unit: str, reach: int | None = None, spans: str | Sequence[str] = ""
) -> list[Unit]:
    """The units of ``prompt``, in order; every token of the text is in one. What is empty is left out.

    ``reach``: only tokens before that position. A token belongs to the unit in which its first visible
    character stands; tokens without characters of the text (a beginning-of-text token) are units by
    themselves. Of a chat, words and sentences end where the words of their turn do: what the template puts
    in front of them and behind is a unit by itself, called ``template: …``. They end where a ``<think>``
    section begins or ends, too. A turn has its template's tokens in it. ``span``: the ``spans`` (see
    ``marked_spans``), and what stands between them, each stretch a unit: a unit's tokens follow each other,
    and there are few. Raises ``BadParameter`` for turns of a prompt that is no chat, for spans of another
    unit and as ``marked_spans`` does, and where it is not known which characters tokens are made of.
    """
    if unit not in UNITS:
        raise BadParameter(f"There is no unit {unit!r}.", f"Use {', '.join(UNITS)}.")
    end = len(prompt.token_ids) if reach is None else reach
    if unit == "span":
        return _spans(prompt, marked_spans(prompt, spans, end), end)
    if spans:
        raise BadParameter(f"Spans are no unit {unit!r}.", "Choose unit=span, or give no spans.")
    if unit == "turn":
        return _turns(prompt, end)
    if unit == "token":
        return [Unit(token, (at,)) for at, token in enumerate(prompt.tokens[:end])]
    if len(prompt.spans) != len(prompt.token_ids):
        raise BadParameter("It is not known which characters the tokens are made of.")
    parts = _parts(prompt, _WORD if unit == "word" else _SENTENCE)
    turns, template = _numbered_turns(prompt), own_of_template(prompt)
    found: list[tuple[Hashable, list[int]]] = []
    for position in range(end):
        part = None if template[position] else _part_of(prompt.text, prompt.spans[position], parts)
        alone = None if template[position] or part is not None else position
        key = turns[position], template[position], part, alone
        if found and found[-1][0] == key:
            found[-1][1].append(position)
        else:
            found.append((key, [position]))
    return [
        Unit(
            (OF_TEMPLATE if template[positions[0]] else "")
            + "".join(prompt.tokens[at] for at in positions),
            tuple(positions),
        )
        for _, positions in found
    ]


def units_axis(prompt: PromptInfo, units: Sequence[Unit]) -> tuple[Axis, dict[str, LabelledArray]]:
    """The axis ``unit`` and what every result over it has beside it [unit].

    ``begin``, ``end``: the tokens of each; of a chat, ``of_template``: how many its template put there.
    """
    axis, template = Axis("unit", tuple(each.label for each in units)), own_of_template(prompt)
    columns = {
        "begin": [each.positions[0] for each in units],
        "end": [each.positions[-1] + 1 for each in units],
    }
    if prompt.turns:
        columns["of_template"] = [sum(template[at] for at in each.positions) for each in units]
    return axis, {
        name: LabelledArray((axis,), np.array(column)) for name, column in columns.items()
    }


def _parts(prompt: PromptInfo, pattern: re.Pattern[str]) -> list[tuple[int, int]]:
    """The characters of each word or sentence; none is both of a thought and of the answer behind it."""
    text = prompt.text
    borders = [at for section in reasoning_in(prompt) for at in section]
    found: list[tuple[int, int]] = []
    for begin, end in (part.span() for part in pattern.finditer(text)):
        cuts = [at for at in borders if text[begin:at].strip() and text[at:end].strip()]
        found += pairwise([begin, *cuts, end])
    return found


def _numbered_turns(prompt: PromptInfo) -> list[int]:
    """The turn of each token; −1 where there are none."""
    found = [-1] * len(prompt.tokens)
    for number, turn in enumerate(prompt.turns):
        found[turn.begin : turn.end] = [number] * (turn.end - turn.begin)
    return found


def _part_of(
    text: str, span: tuple[int, int], parts: list[tuple[int, int]]
) -> tuple[int, int] | None:
    """The part in which the token's first visible character stands; white space belongs to what follows."""
    begin, end = span
    if begin == end:
        return None
    visible = next((at for at in range(begin, end) if not text[at].isspace()), end - 1)
    for part in parts:
        if visible < part[1]:
            return part
    return parts[-1] if parts else None


def _turns(prompt: PromptInfo, end: int) -> list[Unit]:
    if not prompt.turns and prompt.chat is not None:
        raise BadParameter(
            "The template does more with contents than to place them: whose tokens are whose is not known.",
            "Choose the unit sentence, or mark spans.",
        )
    if not prompt.turns:
        raise BadParameter(
            "This prompt has no turns.", "Give a chat (--chat, --user), or the unit sentence."
        )
    numbers: dict[str, int] = {}
    found = []
    for turn in prompt.turns:
        numbers[turn.role] = numbers.get(turn.role, 0) + 1
        positions = tuple(range(turn.begin, min(turn.end, end)))
        if positions:
            found.append(Unit(f"{turn.role} {numbers[turn.role]}", positions))
    return found


def _spans(prompt: PromptInfo, marked: Sequence[tuple[int, int]], end: int) -> list[Unit]:
    """The spans and the stretches between them."""
    # The border between source and prefix too (0 where there is one text): no unit is of both.
    borders = sorted({0, end, min(prompt.border, end), *(at for span in marked for at in span)})
    return [
        Unit("".join(prompt.tokens[begin:stop]), tuple(range(begin, stop)))
        for begin, stop in pairwise(borders)
    ]


def unused_spans(unit: str) -> tuple[str, ...]:
    """``spans`` where the unit has none: such a result does not name them."""
    return () if unit == "span" else ("spans",)
