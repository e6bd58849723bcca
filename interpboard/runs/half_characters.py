"""Characters that a vocabulary has no token for: spread over tokens of bytes, shown as themselves in each.

``日`` in three tokens is shown as ``日[1/3]``, ``日[2/3]``, ``日[3/3]``: the character, and which of its
tokens each is. Bytes that make no character, in a text that a model wrote say, stay ``\\xNN``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from interpboard.runs.token_texts import REPLACEMENT, of_tokens, shown_alone, token_bytes


@dataclass(frozen=True)
class Group:
    """Tokens ``[first, first + len(parts))`` that make whole characters only together.

    ``text``: those characters; ``parts``: for each token the ones that it touches, as ``[begin, end)``
    in ``text``.
    """

    first: int
    text: str
    parts: tuple[tuple[int, int], ...]

    @property
    def shown(self) -> tuple[str, ...]:
        """A label for each token."""
        holders = [
            [at for at, (begin, end) in enumerate(self.parts) if begin <= char < end]
            for char in range(len(self.text))
        ]
        labels = []
        for at, (begin, end) in enumerate(self.parts):
            label = ""
            for char in range(begin, end):
                among = holders[char]
                part = f"[{among.index(at) + 1}/{len(among)}]" if len(among) > 1 else ""
                label += self.text[char] + part
            labels.append(label)
        return tuple(labels)


def groups(tokenizer: Any, ids: Sequence[int]) -> Iterator[Group]:
    """Those of the tokens ``ids``, in order."""
    halves = of_tokens(tokenizer, ids, _half)
    if not any(halves):
        return
    at = 0
    while at < len(ids):
        found = _group(at, halves)
        if found is None:
            at += 1
            continue
        yield found
        at += len(found.parts)


def shown_tokens(tokenizer: Any, ids: Sequence[int]) -> tuple[str, ...]:
    """The text of each token beside the others: ``token_text``, halves of characters as those."""
    shown = shown_alone(tokenizer, ids)
    for group in groups(tokenizer, ids):
        shown[group.first : group.first + len(group.parts)] = group.shown
    return tuple(shown)


def _half(tokenizer: Any, token: int) -> bytes | None:
    """The token's bytes where they are no whole characters."""
    if REPLACEMENT not in tokenizer.decode([token]):
        return None
    data = token_bytes(tokenizer, token)
    return None if data is None or _is_text(data) else data


def _group(first: int, halves: Sequence[bytes | None]) -> Group | None:
    whole, lengths = b"", []
    for at in range(first, len(halves)):  # a slice would be a copy a token
        data = halves[at]
        if data is None:
            return None
        whole += data
        lengths.append(len(data))
        if _is_text(whole):
            return Group(first, whole.decode(), tuple(_parts(whole.decode(), lengths)))
        if not _is_beginning(whole):
            return None
    return None


def _parts(text: str, lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    char_of = [at for at, char in enumerate(text) for _ in char.encode()]
    start = 0
    for length in lengths:
        yield char_of[start], char_of[start + length - 1] + 1
        start += length


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_beginning(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return True
