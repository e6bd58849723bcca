"""The tokens that made-up answers are about."""

from __future__ import annotations

VOCABULARY = (
    " Paris",
    " London",
    " Rome",
    " the",
    " Berlin",
    " France",
    " a",
    " Madrid",
    " love",
    " is",
    ",",
    " of",
)
