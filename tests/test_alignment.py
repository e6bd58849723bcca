"""Which entries of two sequences belong together."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpboard.comparison import align
from interpboard.comparison import alignment as aligning
from interpboard.errors import BadParameter

SEQUENCES = st.lists(st.integers(0, 3), max_size=9)


def longest(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """By trying everything."""

    @cache
    def best(i: int, j: int) -> int:
        if i == len(a) or j == len(b):
            return 0
        skipped = max(best(i + 1, j), best(i, j + 1))
        return max(skipped, 1 + best(i + 1, j + 1)) if a[i] == b[j] else skipped

    return best(0, 0)


@settings(max_examples=150, deadline=None)
@given(SEQUENCES, SEQUENCES)
def test_every_entry_stands_once_in_order_and_as_many_are_paired_as_can_be(
    a: list[int], b: list[int]
) -> None:
    found = align(a, b)
    assert [i for i, _ in found.pairs if i is not None] == list(range(len(a)))
    assert [j for _, j in found.pairs if j is not None] == list(range(len(b)))
    both = [(i, j) for i, j in found.pairs if i is not None and j is not None]
    equal = sum(a[i] == b[j] for i, j in both)
    assert equal == longest(tuple(a), tuple(b))
    assert found.by_place or equal == len(both)
    assert found.common == len(both)


def test_a_word_exchanged_at_its_place_is_by_place_and_one_put_in_is_not() -> None:
    assert align("abcd", "axcd").by_place
    assert not align("abcd", "abbcd").by_place
    assert not align("abcd", "zabc").by_place
    assert align("abcd", "zabc").only_in() == ("B", "", "", "", "A")


def test_sequences_without_a_common_entry_are_not_paired_at_all() -> None:
    assert align("ab", "xy").common == 0
    assert align("", "x").only_in() == ("B",)


def test_what_would_take_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aligning, "MOST_PAIRS", 5)
    with pytest.raises(BadParameter, match="3 and 2 tokens are too long"):
        align("qabcz", "qxyz")
    assert align("q" * 50, "q" * 40).common == 40
