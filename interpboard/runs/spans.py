"""From text to tokens: each token's characters in the text. Subjects, swaps and units are found by these.

A tokenizer says of each token which characters it was made from. What it says is looked at for every
text: the tokens, decoded, must be the text that stands at their characters, up to what normalisers
change (case, accents, compatibility forms, white space). Where a tokenizer says nothing, or something
else, the decoded tokens are laid over the text one after the other. Tokens that cannot be told apart
share their characters: a span may be too wide, but never elsewhere.

The texts of tokens as they are *shown* are for people: nothing is searched in them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from interpboard.runs.encoded import Encoded, Span
from interpboard.runs.folding import fold, fold_char, holds_other
from interpboard.runs.half_characters import Group, groups
from interpboard.runs.token_texts import REPLACEMENT, added_by_each


def spans_of(tokenizer: Any, text: str, encoded: Encoded) -> tuple[Span, ...]:
    """Characters ``[begin, end)`` of each token, in order; of those that the tokenizer added empty ones.

    White space is the token's behind it where that holds it. What is of no character is in no span.
    """
    spans: Sequence[Span] | None = _side_by_side(tokenizer, text, encoded)
    if spans is None:
        spans = _placed(tokenizer, text, encoded)
    return ((0, 0),) * encoded.before + tuple(spans) + ((len(text), len(text)),) * encoded.after


def _side_by_side(tokenizer: Any, text: str, encoded: Encoded) -> Sequence[Span] | None:
    """What the tokenizer says, where the tokens, each just what stands there, are the text one behind the
    other: then nothing is to be looked for. None of half characters, which stand nowhere."""
    offsets = encoded.offsets
    if offsets is None or REPLACEMENT in text or any(begin >= end for begin, end in offsets):
        return None
    ends = [0, *(end for _, end in offsets)]
    if ends[-1] != len(text) or [begin for begin, _ in offsets] != ends[:-1]:
        return None
    stands = [text[begin:end] for begin, end in offsets]
    return offsets if added_by_each(tokenizer, encoded.own) == stands else None


def _placed(tokenizer: Any, text: str, encoded: Encoded) -> list[Span]:
    units = _units(tokenizer, encoded.own)
    placed = None if encoded.offsets is None else _as_said(text, units, encoded.offsets)
    if placed is None:
        special = frozenset(getattr(tokenizer, "all_special_ids", ()))
        special -= {getattr(tokenizer, "unk_token_id", None)}  # that one is what stands there
        placed = _Overlay(text, units, special).spans()
    return _with_marks(text, _with_white_space(text, units, placed))


# -- tokens that are looked at together ---------------------------------------------------------------


@dataclass(frozen=True)
class _Unit:
    """Tokens ``[first, first + size)``: one, or those of a group of half characters."""

    first: int
    size: int
    token: int  # the id of the first
    text: str
    group: Group | None = None

    @property
    def folded(self) -> str:
        return fold(self.text)

    def within(self, text: str, begin: int, least: int) -> list[Span]:
        """Each token's span if the unit is just what stands at ``begin``, from ``least`` on; else none."""
        if begin < least or not text.startswith(self.text, begin):
            return []
        parts = ((0, len(self.text)),) if self.group is None else self.group.parts
        return [(begin + b, begin + e) for b, e in parts]


def _units(tokenizer: Any, ids: Sequence[int]) -> list[_Unit]:
    found = {group.first: group for group in groups(tokenizer, ids)}
    texts = added_by_each(tokenizer, ids)
    units, at = [], 0
    while at < len(ids):
        group = found.get(at)
        if group is not None:
            units.append(_Unit(at, len(group.parts), ids[at], group.text, group))
            at += len(group.parts)
            continue
        units.append(_Unit(at, 1, ids[at], texts[at]))
        at += 1
    return units


# -- what the tokenizer says --------------------------------------------------------------------------


def _as_said(text: str, units: Sequence[_Unit], offsets: Sequence[Span]) -> list[Span] | None:
    """The spans that the tokenizer says; None if the tokens are not what stands there."""
    if any(not 0 <= begin <= end <= len(text) for begin, end in offsets):
        return None
    spans: list[Span] = []
    at = 0  # up to where the text is accounted for
    for unit in units:
        of_unit = list(offsets[unit.first : unit.first + unit.size])
        begin, end = min(b for b, _ in of_unit), max(e for _, e in of_unit)
        if holds_other(unit.text, text[begin:end]):  # its own space in front of a word
            begin = end = min(max(at, begin), end)
            of_unit = [(begin, begin)] * unit.size
        elif unit.group is not None:
            of_unit = unit.within(text, end - len(unit.text), at) or [(begin, end)] * unit.size
        spans += of_unit
        at = max(at, end)
    if spans != sorted(spans) or [end for _, end in spans] != sorted(end for _, end in spans):
        return None
    return spans if _proved(text, units, spans) else None


def _proved(text: str, units: Sequence[_Unit], spans: Sequence[Span]) -> bool:
    """Whether the text at the spans is what the tokens are, and the rest of it is in no token.

    Spans that overlap are looked at together. A token of another text, an unknown word's say, is what its
    neighbours leave: then nothing of the text may be left out.
    """
    runs: list[tuple[Span, str]] = []
    for unit in units:
        begin = min(b for b, _ in spans[unit.first : unit.first + unit.size])
        end = max(e for _, e in spans[unit.first : unit.first + unit.size])
        if runs and begin < runs[-1][0][1]:
            (first, last), before = runs[-1]
            runs[-1] = ((first, max(last, end)), before + unit.text)
        else:
            runs.append(((begin, end), unit.text))
    at, unlike, left_out = 0, False, False
    for (begin, end), said in runs:
        stands, own = fold(text[begin:end]), fold(said)
        if not (stands or own):  # white space proves nothing, a control or a mark is itself
            if said.strip() != text[begin:end].strip():
                return False
            continue
        left_out |= bool(fold(text[at:begin]))
        if stands != own:
            unlike = True
            if begin == end:
                return False
        at = end
    # Where the tokens together are the text and yet some are of another, those are misplaced; where some of
    # the text is in no token and some token is of another text, both may be.
    if unlike and fold(text) == fold("".join(said for _, said in runs)):
        return False
    return not (unlike and (left_out or fold(text[at:])))


# -- laying the tokens over the text -------------------------------------------------------------------


class _Overlay:
    """The spans by what the tokens are, one after the other.

    A token of another text begins a stretch that ends at the next token whose text stands behind it just
    once, or at the end; the tokens of a stretch share it.
    """

    def __init__(self, text: str, units: Sequence[_Unit], special: frozenset[int]) -> None:
        self.text, self.units, self.special = text, units, special
        parts = [fold_char(char) for char in text]
        self.folded = "".join(parts)
        self.char_of = [at for at, part in enumerate(parts) for _ in part]
        self.at = 0  # in the folded text
        self.end = 0  # in the text: up to where it is given out

    def spans(self) -> list[Span]:
        """One a token."""
        spans: list[Span] = []
        number = 0
        while number < len(self.units):
            unit = self.units[number]
            exact = unit.within(self.text, self.end, 0)
            begin = self._char(self.at)
            if exact:
                spans += exact
                self._go_on(len(unit.folded), exact[-1][1])
            elif not unit.folded or (unit.token in self.special and not self._here(unit)):
                spans += [(self.end, self.end)] * unit.size
            elif self._here(unit):
                self.at += len(unit.folded)
                self.end = self.char_of[self.at - 1] + 1
                spans += unit.within(self.text, self.end - len(unit.text), begin) or (
                    [(begin, self.end)] * unit.size
                )
            else:
                number, stretch = self._stretch(number)
                spans += stretch
                continue
            number += 1
        return spans

    def _stretch(self, number: int) -> tuple[int, list[Span]]:
        stop, begins = len(self.units), len(self.folded)
        for later in range(number + 1, len(self.units)):
            own = self.units[later].folded
            if own and self.folded.count(own, self.at) == 1:
                stop, begins = later, self.folded.index(own, self.at)
                break
        begin = self._char(self.at)
        if begins > self.at:
            self.end = self.char_of[begins - 1] + 1
        self.at = begins
        span = (min(begin, self.end), self.end)
        return stop, [span for unit in self.units[number:stop] for _ in range(unit.size)]

    def _here(self, unit: _Unit) -> bool:
        return self.folded.startswith(unit.folded, self.at)

    def _char(self, at: int) -> int:
        return self.char_of[at] if at < len(self.char_of) else len(self.text)

    def _go_on(self, folded: int, end: int) -> None:
        self.at, self.end = self.at + folded, end


# -- what normalisers and decoders leave out ------------------------------------------------------------


def _with_white_space(text: str, units: Sequence[_Unit], spans: Sequence[Span]) -> list[Span]:
    """White space that no token has goes to the token behind it, if that begins with some."""
    widened = list(spans)
    before = 0
    for unit in units:
        begin, end = widened[unit.first]
        held = len(unit.text) - len(unit.text.lstrip())
        if begin == end and held == len(unit.text):
            gap = text[before : _next(widened, unit.first, len(text))]
            room = min(held, len(gap) - len(gap.lstrip()))
            widened[unit.first] = (before, before + room) if room else (begin, end)
        elif held and text[before:begin].isspace() and not text[begin].isspace():
            widened[unit.first] = (max(before, begin - held), end)
        before = max(before, widened[unit.first + unit.size - 1][1])
    return widened


def _with_marks(text: str, spans: Sequence[Span]) -> list[Span]:
    """Marks that a normaliser stripped go to their letter."""
    widened = list(spans)
    for at, (begin, end) in enumerate(widened):
        stop = _next(widened, at, len(text))
        while begin < end < stop and unicodedata.category(text[end])[0] == "M":
            end += 1
        widened[at] = (begin, end)
    return widened


def _next(spans: Sequence[Span], at: int, length: int) -> int:
    """Where the next token's characters begin that are not those of the token ``at`` too."""
    end, behind = spans[at][1], range(at + 1, len(spans))
    return next((spans[i][0] for i in behind if spans[i][1] > end), length)
