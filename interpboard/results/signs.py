"""What a result says of one of its values: the clause of its meaning for the side the value is on.

``Result.meaning`` is the one place where it stands; here it is only found again, for views that have
room for a few words.
"""

from __future__ import annotations

import re

_BELOW = re.compile(r"(?:^|; )(?:negative|below [-\d.e]+|smaller): (?P<said>[^;]*)")
_ABOVE = re.compile(r"(?:^|; )(?:positive|above [-\d.e]+|larger): (?P<said>[^;]*)")
_SPARED = re.compile(r"^(?:it|the [\w-]+(?: token)?) (?=\w)| (?:it|the metric)$")


def sides_of(meaning: str, *, short: bool = False) -> tuple[str, str]:
    """What ``meaning`` says of values below the neutral one, and above; empty where it says nothing.

    ``short``: without what stands in brackets and what it is about, ``helped`` for ``the head helped``.
    """
    found = (_BELOW.search(meaning), _ABOVE.search(meaning))
    sides = ["" if clause is None else clause["said"].strip() for clause in found]
    if short:
        sides = [_SPARED.sub("", side.partition(" (")[0]) for side in sides]
    return sides[0], sides[1]


def side_of(meaning: str, value: float, neutral: float, *, short: bool = False) -> str:
    """What ``meaning`` says of ``value``; empty at the neutral value, of NaN, and where it says nothing."""
    below, above = sides_of(meaning, short=short)
    return below if value < neutral else above if value > neutral else ""


def legend_of(meaning: str, neutral: float) -> str:
    """Both sides in a few words: ``− helped, + hurt``; ``< 1 …, > 1 …`` around another neutral value."""
    marks = ("− ", "+ ") if neutral == 0 else (f"< {neutral:g} ", f"> {neutral:g} ")
    sides = zip(marks, sides_of(meaning, short=True), strict=True)
    return ", ".join(mark + side for mark, side in sides if side)
