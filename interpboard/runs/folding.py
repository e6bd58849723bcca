"""Texts compared up to what normalisers and decoders change: case, accents, forms, white space, controls."""

from __future__ import annotations

import unicodedata
from functools import lru_cache


def holds_other(said: str, stands: str) -> bool:
    """Whether the text ``stands`` there though a token is no character of it."""
    return (not fold(said) and bool(fold(stands))) or (said.isspace() and not stands.isspace())


def fold(text: str) -> str:
    """``text`` without what normalisers change: case, accents, forms, white space, controls."""
    return "".join(map(fold_char, text))


@lru_cache(maxsize=4096)
def fold_char(char: str) -> str:
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    return "".join(c for c in plain if unicodedata.category(c)[0] not in "MZC")
