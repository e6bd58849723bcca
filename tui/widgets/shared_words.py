"""Which words all rows of a list have in the same place, so that what tells rows apart is in sight. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SAMPLE = 256  # texts that are looked at, spread over the list
_LEFT_OUT = "…"


@dataclass(frozen=True)
class SharedWords:
    """``front``: places from the first word at which all have the same; ``back``: from the last, from 0."""

    front: frozenset[int] = frozenset()
    back: frozenset[int] = frozenset()

    def without(self, text: str) -> str:
        """``text`` with each stretch of shared words as one ``…``; whole where nothing else is in it."""
        words = text.split(" ")
        last = len(words) - 1
        kept, any_own = list[str](), False
        for at, word in enumerate(words):
            if at in self.front or last - at in self.back:
                if not kept or kept[-1] != _LEFT_OUT:
                    kept.append(_LEFT_OUT)
            else:
                kept.append(word)
                any_own = True
        shown = (
            " ".join(kept).replace(f" {_LEFT_OUT}", _LEFT_OUT).replace(f"{_LEFT_OUT} ", _LEFT_OUT)
        )
        return shown if any_own else text


def shared_words(texts: Sequence[str]) -> SharedWords:
    """Of ``texts``; of fewer than two there are none."""
    step = max(1, len(texts) // SAMPLE)
    split = [text.split(" ") for text in texts[::step]]
    if len(split) < 2:
        return SharedWords()
    first, least = split[0], min(map(len, split))
    front = (at for at in range(least) if all(words[at] == first[at] for words in split))
    back = (at for at in range(least) if all(words[-1 - at] == first[-1 - at] for words in split))
    return SharedWords(frozenset(front), frozenset(back))
