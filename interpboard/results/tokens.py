"""What can be told of a prompt's tokens by their spans alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rich.cells import cell_len

from interpboard.display import visible
from interpboard.results.info import PromptInfo, Turn


def appended(prompt: PromptInfo) -> int:
    """How many tokens at the end are no part of the text: what the tokenizer puts behind it."""
    if prompt.border:  # a prefix has nothing behind it
        return 0
    held = [at for at, (begin, end) in enumerate(prompt.spans) if begin != end]
    return len(prompt.spans) - 1 - held[-1] if held else 0


def sections_of(prompt: PromptInfo) -> tuple[Turn, ...]:
    """What stands on lines of its own: the turns of a chat; of an encoder–decoder source and prefix."""
    border, end = prompt.border, len(prompt.tokens)
    if not border:
        return prompt.turns
    return (Turn("source", 0, border, (0, border)), Turn("prefix", border, end, (border, end)))


def own_of_template(prompt: PromptInfo) -> tuple[bool, ...]:
    """Of each token whether the chat's template put it there: it is no word of a turn. False in a text."""
    if not prompt.turns:
        return (False,) * len(prompt.tokens)
    words = {at for turn in prompt.turns for at in range(*turn.content)}
    return tuple(at not in words for at in range(len(prompt.tokens)))


def text_at(prompt: PromptInfo, positions: tuple[int, ...]) -> str:
    """The text that the tokens at ``positions``, which follow each other, stand in."""
    if not prompt.spans:
        return "".join(prompt.tokens[at] for at in positions)
    held = [prompt.spans[at] for at in positions if prompt.spans[at][0] < prompt.spans[at][1]]
    return prompt.text[held[0][0] : held[-1][1]] if held else ""


_THINK = re.compile(r"<(/?)think>")


def reasoning_in(prompt: PromptInfo) -> tuple[tuple[int, int], ...]:
    """The characters ``[begin, end)`` of each closed ``<think>`` section, its marks among them.

    Of sections in each other the outer one. A ``<think>`` that is not closed in its turn, one that a
    message only speaks of say, begins none.
    """
    return tuple(
        section
        for begin, end in _stretches(prompt)
        for section in _closed(_THINK.finditer(prompt.text, begin, end))
    )


def _stretches(prompt: PromptInfo) -> list[tuple[int, int]]:
    """The characters of each turn; of a prompt without any the whole."""
    if not prompt.turns or not prompt.spans:
        return [(0, len(prompt.text))]
    return [
        (prompt.spans[turn.begin][0], prompt.spans[turn.end - 1][1])
        for turn in prompt.turns
        if turn.begin < turn.end
    ]


def _closed(marks: Iterable[re.Match[str]]) -> list[tuple[int, int]]:
    opened: list[int] = []
    found: list[tuple[int, int]] = []
    for mark in marks:
        if not mark[1]:
            opened.append(mark.start())
        elif opened:
            begin = opened.pop()
            found = [own for own in found if own[0] < begin]  # those inside
            found.append((begin, mark.end()))
    return found


def reasoning_sections(prompt: PromptInfo) -> tuple[tuple[int, int], ...]:
    """The tokens ``[begin, end)`` of each closed ``<think>`` section, its marks among them.

    None where it is not known which characters the tokens are made of, and none of one token.
    """
    found = []
    for first, last in reasoning_in(prompt):
        inside = [at for at, (b, e) in enumerate(prompt.spans) if first < e and b < last and b < e]
        if len(inside) > 1:
            found.append((inside[0], inside[-1] + 1))
    return tuple(found)


CONTINUED = "‹"  # a token that belongs to the character on its left
_PART = re.compile(r"(.)\[(\d+)/\d+\]", re.DOTALL)


def as_read(prompt: PromptInfo) -> tuple[str, ...]:
    """Each token as the text is read, harmless: a character that is spread over tokens stands at the first
    of them, and ``‹`` at the others."""
    shown, before = (
        [],
        "",
    )  # the character in front: what joins two emoji is drawn by what it stands behind
    for at, token in enumerate(prompt.tokens):
        text = ""
        for piece, continued in _pieces(prompt, at, token):
            text += CONTINUED if continued else _behind(before, piece)
            before = piece[-1:] or before
        shown.append(text or CONTINUED)
    return tuple(shown)


def _pieces(prompt: PromptInfo, at: int, token: str) -> Iterator[tuple[str, bool]]:
    """What a token is made of, and whether the token before it has shown that already."""
    spans = prompt.spans
    begin, end = spans[at] if spans else (0, 0)
    before = at > 0 and begin < end and spans[at - 1][1] > begin
    behind = at + 1 < len(spans) and spans[at + 1][0] < end
    if not (before or behind):
        yield token, False
        return
    # Whole characters, then a half one with its number, and so on.
    parts = _PART.split(token)
    yield parts[0], False
    for char, number, more in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        yield char, number != "1"
        yield more, False


def _behind(before: str, text: str) -> str:
    """``text``, harmless, as it is drawn behind the character ``before``; it has a cell at least."""
    alone, first = visible(text), visible(before)
    both = visible(before + text)
    drawn = both[len(first) :] if both.startswith(first) else alone
    return drawn if cell_len(drawn) or not drawn else alone
