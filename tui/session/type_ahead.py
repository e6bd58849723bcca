"""Type-ahead over a vocabulary: which tokens fit what was typed, and what is odd about it. Pure.

A token is found by its beginning, its leading space typed or not; then by any part of it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from typing import NamedTuple

from interpboard.display import visible_token

MOST_MATCHES = 200  # matches; nobody scrolls through more
_BETWEEN = "\ud800"  # in no token: half a character cannot be in one
# Parts of characters are shown as their bytes; what looks like an id would be read as one.
_NO_TEXT = re.compile(r"\\x[0-9a-f]{2}|^\\*#[0-9]+$")
_BY_ID = re.compile(r"#([0-9]{1,9})", re.ASCII)
_TYPED = {"\\n": "\n", "\\t": "\t", "⏎": "\n", "⇥": "\t"}


class TokenMatch(NamedTuple):
    """One token that fits. Id −1: a choice that is no token, its text empty."""

    id: int
    text: str


class SearchableVocabulary:
    """Every token's text, by id, made ready to be searched: for 150,000 tokens 0.1 s, once."""

    def __init__(self, strings: Sequence[str]) -> None:
        self.strings = strings
        lowered = [text.lower() for text in strings]
        self._lowered = _BETWEEN + "".join(text + _BETWEEN for text in lowered)
        self._starts = list(accumulate((len(text) + 1 for text in lowered), initial=1))
        self._id: dict[str, int] = {}
        self._several: set[str] = set()  # texts that more than one token has
        for id, text in enumerate(strings):
            if self._id.setdefault(text, id) != id:
                self._several.add(text)

    def id_of(self, text: str) -> int | None:
        """The first token of exactly this text."""
        return self._id.get(text)

    def several(self, text: str) -> bool:
        """Whether more than one token is spelt like this."""
        return text in self._several

    def reference(self, id: int) -> str:
        """What names this token: its text, or ``#161`` where another is spelt alike or it is no text."""
        text = self.strings[id]
        return f"#{id}" if text in self._several or _NO_TEXT.search(text) else text

    def containing(self, part: str) -> Iterator[int]:
        """Ids of the tokens that contain ``part``, in lower case; ``_BETWEEN`` marks an edge."""
        edge = part.startswith(_BETWEEN)
        at = self._lowered.find(part)
        while at >= 0:
            id = bisect_right(self._starts, at + edge) - 1
            yield id
            at = self._lowered.find(part, self._starts[id + 1] - edge)

    def starting(self, part: str) -> Iterator[int]:
        """Ids of the tokens that begin with ``part``, in lower case."""
        return self.containing(_BETWEEN + part)


def matches(
    vocabulary: SearchableVocabulary, typed: str, most: int = MOST_MATCHES
) -> list[TokenMatch]:
    """Tokens that fit, best first; nothing typed fits nothing.

    The token whose id was typed, ``#161``. Exactly what was typed, the same behind a space, beginnings in
    the same case, then in any case, then tokens that contain it. Within each, by id: vocabularies list
    frequent tokens first.
    """
    found: dict[int, None] = {}
    named = _BY_ID.fullmatch(typed)
    if named is not None and int(named[1]) < len(vocabulary.strings):
        found[int(named[1])] = None
    for text in _readings(typed):
        exact = [vocabulary.id_of(form) for form in _forms(text)]
        found |= dict.fromkeys(id for id in exact if id is not None)
        begin = [id for form in _forms(text) for id in _first(vocabulary.starting(form.lower()))]
        same = [id for id in begin if vocabulary.strings[id].startswith(tuple(_forms(text)))]
        for ids in (
            sorted(set(same)),
            sorted(set(begin)),
            _first(vocabulary.containing(text.lower())),
        ):
            found |= dict.fromkeys(ids)
    return [TokenMatch(id, vocabulary.strings[id]) for id in islice(found, most)]


def advice(vocabulary: SearchableVocabulary, typed: str, pieces: Sequence[str] | None) -> str:
    """What is odd about ``typed`` as a token; empty: nothing. ``pieces``: what it falls into."""
    if not typed:
        return ""
    if _BY_ID.fullmatch(typed):
        found = f" is the token {_quoted(pieces[0])}." if pieces else " names a token by its id."
        return typed + found
    spaced = " " + typed
    behind_space = typed[0] != " " and vocabulary.id_of(spaced) is not None
    if pieces is not None and len(pieces) > 1:
        refusal = (
            f"{_quoted(typed)} is {len(pieces)} tokens: {' '.join(map(visible_token, pieces))}."
        )
        return f"{refusal} {_quoted(spaced)} is one." if behind_space else refusal
    if pieces is not None and tuple(pieces) not in ((), (typed,)):
        return f"The tokenizer reads {_quoted(typed)} as {_quoted(pieces[0])}."
    if vocabulary.id_of(typed) is None:
        return f"No token is {_quoted(typed)}." + (
            f" {_quoted(spaced)} is one." if behind_space else ""
        )
    if vocabulary.several(typed):
        return f"Several tokens are {_quoted(typed)}: choose one, or type its id, as #161."
    if behind_space:
        return f"No leading space: inside a text the word is {_quoted(spaced)}, another token."
    return ""


def _quoted(text: str) -> str:
    return f"“{visible_token(text)}”"


def _forms(text: str) -> tuple[str, ...]:
    return (text,) if text.startswith(" ") else (text, " " + text)


def _first(ids: Iterator[int]) -> list[int]:
    return list(islice(ids, 4 * MOST_MATCHES))


def _readings(typed: str) -> Iterator[str]:
    """As typed, and with what stands for a newline or a tab as that."""
    if not typed:
        return
    yield typed
    read = typed
    for written, char in _TYPED.items():
        read = read.replace(written, char)
    if read != typed:
        yield read
