"""How pairs and examples were read when each had a reader of its own: what both still have to read alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

ARROW = re.compile(r"(?<!\\)=>")
Answers = tuple[str, ...] | None


def unescaped(text: str) -> str:
    return f" {text} ".replace("\\=>", "=>").replace(" \\| ", " | ")[1:-1]


def pair(line: str) -> tuple[str, ...] | None:
    """The fields of a pair in a line that is no JSON; None where it was refused."""
    parts = ARROW.split(line)
    last = len(parts) - 1
    if not 2 <= len(parts) <= 4:
        return None
    return tuple(
        unescaped(part.removeprefix(" " if i else "").removesuffix(" " if i < last else ""))
        for i, part in enumerate(parts)
    )


def example(line: str) -> tuple[str, str | None, Answers, Answers] | None:
    """Clean, corrupted, targets and foils of a line that is no JSON; None where it was refused."""
    prompts, *answers = line.split(" | ")
    both = ARROW.split(prompts)
    if len(answers) > 2 or len(both) > 2 or (len(both) == 2 and not both[1].strip()):
        return None
    clean, *corrupted = (unescaped(text.strip()) for text in both)
    words: Sequence[Any] = [tuple(map(answer, part.split("/"))) for part in answers]
    target, foil = (*words, None, None)[:2]
    return clean, corrupted[0] if corrupted else None, target, foil


def answer(text: str) -> str:
    word = unescaped(text.strip())
    if re.fullmatch(r"#([0-9]+)", word, re.ASCII):
        return word
    quoted = len(word) > 2 and word[0] == word[-1] and word[0] in "'\""
    return word[1:-1] if quoted else " " + word


def has_blank(line: str) -> bool:
    """A prompt or an answer of the line is blank: a reason to refuse it now."""
    behind_arrows = any(not part.strip() for part in ARROW.split(line.split(" | ")[0]))
    pieces = [piece for part in line.split(" | ")[1:] for piece in part.split("/")]
    return behind_arrows or any(not piece.strip() for piece in pieces)
