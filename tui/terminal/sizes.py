"""Sizes of the terminal as the style sheet names them, and what is needed at least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

NEEDED = (40, 12)  # columns and rows; below that a line says so
GRID_NUMBERS = 60  # columns from which a grid has room for numbers beside its colours
HORIZONTAL = [(0, "-tiny"), (40, "-slim"), (80, "-narrow"), (110, "-medium"), (180, "-wide")]
VERTICAL = [
    (0, "-short"),
    (12, "-squat"),
    (18, "-flat"),
    (24, "-low"),
    (34, "-tall"),
    (50, "-high"),
]
# What is said of a name holds for those before it in its line too: one pane at a time, and less around it.
_HOLDS = {
    "-tiny": ("-slim", "-narrow"), "-slim": ("-narrow",),
    "-short": ("-squat", "-flat", "-low"), "-squat": ("-flat", "-low"), "-flat": ("-low",),
}  # fmt: skip


def named(size: Sequence[int]) -> list[str]:
    """The names of ``size``, columns and rows."""
    return [
        [name for start, name in table if start <= cells][-1]
        for table, cells in zip((HORIZONTAL, VERTICAL), size, strict=True)
    ]


def size_names(size: Sequence[int]) -> list[str]:
    """All names that hold for ``size``."""
    return [each for name in named(size) for each in (name, *_HOLDS.get(name, ()))]


def with_larger(names: Mapping[str, bool]) -> dict[str, bool]:
    """Names as Textual switches them, and with each that is on those that hold too."""
    found = dict(names)
    for name, on in names.items():
        found |= dict.fromkeys(_HOLDS.get(name, ()), True) if on else {}
    return found
