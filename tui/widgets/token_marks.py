"""Tokens as they stand in a line of text: spans in brackets, what is folded as one."""

from __future__ import annotations

from collections.abc import Sequence

from interpboard.display import ascii_everywhere


def in_brackets(texts: Sequence[str], spans: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """``texts`` with a bracket before and behind each of ``spans``."""
    shown, (before, behind) = list(texts), "[]" if ascii_everywhere.get() else "⟦⟧"
    for begin, end in spans:
        if end <= len(shown):
            shown[begin] = before + shown[begin]
            shown[end - 1] += behind
    return tuple(shown)


def folded_tokens(tokens: Sequence[str], folded: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """``tokens`` where the first of each section says how many there are, and the others nothing."""
    shown = list(tokens)
    for begin, end in folded:
        shown[begin:end] = [f"<think> {end - begin} tokens </think>", *[""] * (end - begin - 1)]
    return tuple(shown)
