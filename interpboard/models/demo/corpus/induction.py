"""Induction: random tokens, repeated, which only copying from the earlier occurrence predicts."""

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class InductionProbe:
    """Token ids whose last `half` repeat the `half` before them."""

    ids: tuple[int, ...]
    half: int


def training_row(rng: random.Random, vocabulary: int, length: int) -> tuple[list[int], list[float]]:
    """A row of `length` ids with loss weights: random tokens, then a random segment repeated.

    Nothing predicts the segment's first occurrence, so it carries no weight. Short segments are
    as common as long ones and repeat more often: they give the copying its first foothold. A row
    may hold several segments, which keeps the model from copying by position alone.
    """
    ids: list[int] = []
    weights: list[float] = []
    longest = min(64, length // 2)
    while len(ids) < length:
        offset = rng.randrange(length // 3) if rng.random() < 0.5 else 0
        half = round(2 * (longest / 2) ** rng.random())
        copies = 2 + round(rng.random() * min(6, length / half / 2))
        segment = _random_ids(rng, vocabulary, half)
        ids += _random_ids(rng, vocabulary, offset) + segment * copies
        weights += [0.0] * (offset + half + 1) + [1.0] * (half * (copies - 1) - 1)
    return ids[:length], weights[:length]


def _random_ids(rng: random.Random, vocabulary: int, count: int) -> list[int]:
    """Ids of any token but the end-of-text token, which has id 0."""
    return [rng.randrange(1, vocabulary) for _ in range(count)]


def held_out_examples(
    rng: random.Random, vocabulary: int, count: int, context: int = 256
) -> Iterator[InductionProbe]:
    """Fresh random sequences, at offsets anywhere that fits in the context."""
    for _ in range(count):
        half = rng.randint(10, min(60, context // 2))
        offset = rng.randint(0, context - 2 * half)
        segment = _random_ids(rng, vocabulary, half)
        yield InductionProbe(tuple(_random_ids(rng, vocabulary, offset) + segment * 2), half)
