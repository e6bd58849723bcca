"""Lines drawn in text: braille dots, or letters where there is ASCII only. Told apart without colour too.

A line is solid, dashed or dotted and has a letter, which stands at its right end and in the legend. In ASCII
its points are that letter. A number that is not there is a gap, never a line across it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from interpboard.display import fit, ours_in_ascii, visible
from interpboard.visualization.curves import Curve, Curves
from interpboard.visualization.numbers import exponent_of, times

LETTERS = "abcdefgh"
ON_DARK = ("#5fafd7", "#d7af00", "#87d7af", "#d787d7", "#d0d0d0")
ON_LIGHT = ("#005faf", "#af5f00", "#00875f", "#875f87", "#303030")
_PATTERNS = ((1,), (1, 1, 1, 0, 0), (1, 0, 0), (1, 1, 1, 1, 0, 1, 0), (1, 0, 0, 0, 0))
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
SMALLEST_PLOT = (24, 8)  # columns and lines under which a plot says nothing


def plot_lines(
    curves: Curves, width: int, height: int, *, dark: bool = True, ascii_only: bool = False
) -> list[Text]:
    """The plot with its title, axes and legend, in ``width`` columns and at most ``height`` lines.

    Empty under ``SMALLEST_PLOT``.
    """
    if width < SMALLEST_PLOT[0] or height < SMALLEST_PLOT[1] or not len(curves.x):
        return []
    exponent = exponent_of(np.concatenate([line.values for line in curves.lines] or [np.zeros(1)]))
    low, high = y_range(curves)
    inks = ON_DARK if dark else ON_LIGHT
    factor = times(exponent, ascii_only=ascii_only)
    upward = _cut(curves.up, width - len(factor) - 1, ascii_only)
    above = [Text(_cut(curves.title, width, ascii_only)), Text(f"{factor} {upward}".lstrip())]
    legend = _legend(curves, width, inks, ascii_only)
    rows = max(3, height - len(above) - len(legend) - 2)
    ticks = _ticks(low, high, rows, 10.0**exponent)
    margin = max(map(len, ticks.values())) + 1
    across = width - margin - 2  # and a letter at the right end
    cells = _letters(curves, across, rows) if ascii_only else _braille(curves, across, rows)
    edge = "|" if ascii_only else "│"
    ends = _right_ends(curves, rows)
    drawn = []
    for row in range(rows):
        line = Text(ticks.get(row, "").rjust(margin - 1), "dim")
        line.append(edge, "dim")
        for char, owner in cells[row]:
            line.append(char, inks[owner % len(inks)] if owner >= 0 else "dim")
        if row in ends:
            line.append(f" {LETTERS[ends[row]]}", f"bold {inks[ends[row] % len(inks)]}")
        drawn.append(line)
    return [*above, *drawn, *_x_axis(curves, margin, across, ascii_only), *legend]


def y_range(curves: Curves) -> tuple[float, float]:
    """The lowest and the highest value drawn, with the neutral one between them."""
    known = [v for line in curves.lines for v in line.values.tolist() if math.isfinite(v)]
    low, high = min([*known, curves.neutral]), max([*known, curves.neutral])
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def plotted_row(value: float, low: float, high: float, steps: int) -> int:
    """Which of ``steps`` places, counted from the top, ``value`` is at."""
    return round((high - value) / (high - low) * (steps - 1))


def columns_of_points(curves: Curves, steps: int) -> list[int]:
    """At which of ``steps`` places from the left each point is."""
    x = curves.x.astype(np.float64)
    first, last = float(x.min()), float(x.max())
    return [
        0 if last == first else round((at - first) / (last - first) * (steps - 1))
        for at in x.tolist()
    ]


def _braille(curves: Curves, width: int, rows: int) -> list[list[tuple[str, int]]]:
    dots = np.zeros((rows, width), dtype=np.int64)
    owner = np.full((rows, width), -1)
    low, high = y_range(curves)
    at = columns_of_points(curves, 2 * width)
    _mark(
        dots,
        owner,
        [(x, plotted_row(curves.neutral, low, high, 4 * rows)) for x in range(0, 2 * width, 4)],
        -1,
    )
    for index, line in reversed(list(enumerate(curves.lines))):  # the first one on top
        _mark(
            dots,
            owner,
            _path(line, at, low, high, 4 * rows, _PATTERNS[index % len(_PATTERNS)]),
            index,
        )
    return [
        [
            (chr(0x2800 + bits) if bits else " ", int(series))
            for bits, series in zip(*pair, strict=True)
        ]
        for pair in zip(dots.tolist(), owner.tolist(), strict=True)
    ]


def _mark(
    dots: np.ndarray, owner: np.ndarray, points: Sequence[tuple[int, int]], index: int
) -> None:
    for x, y in points:
        dots[y // 4, x // 2] |= _DOTS[y % 4][x % 2]
        owner[y // 4, x // 2] = index


def _path(
    line: Curve, at: Sequence[int], low: float, high: float, steps: int, pattern: Sequence[int]
) -> list[tuple[int, int]]:
    """The dots of a line: every point that is there, and between neighbours that are."""
    values, found, step = line.values.tolist(), [], 0
    for i, value in enumerate(values):
        if not math.isfinite(value):
            step = 0
            continue
        here = (at[i], plotted_row(value, low, high, steps))
        if i and math.isfinite(values[i - 1]):
            before = (at[i - 1], plotted_row(values[i - 1], low, high, steps))
            for point in _between(before, here):
                if pattern[step % len(pattern)]:
                    found.append(point)
                step += 1
        found.append(here)
    return found


def _between(a: tuple[int, int], b: tuple[int, int]) -> Iterator[tuple[int, int]]:
    count = max(abs(b[0] - a[0]), abs(b[1] - a[1]), 1)
    for i in range(count):
        yield tuple(round(p + (q - p) * i / count) for p, q in zip(a, b, strict=True))  # type: ignore[misc]


def _letters(curves: Curves, width: int, rows: int) -> list[list[tuple[str, int]]]:
    """Points as letters; ``*`` where several are, dots on the way between neighbours."""
    low, high = y_range(curves)
    at = columns_of_points(curves, width)
    cells = [[(" ", -1)] * width for _ in range(rows)]
    zero = plotted_row(curves.neutral, low, high, rows)
    cells[zero] = [("-", -1) if x % 2 == 0 else (" ", -1) for x in range(width)]
    for index, line in reversed(list(enumerate(curves.lines))):
        for x, y in _path(line, at, low, high, rows, (1,)):
            cells[y][x] = (".", index)
    for index, line in enumerate(curves.lines):
        for x, value in zip(at, line.values.tolist(), strict=True):
            if math.isfinite(value):
                row = cells[plotted_row(value, low, high, rows)]
                taken = row[x][0] in f"{LETTERS}*"
                row[x] = ("*", -1) if taken else (LETTERS[index], index)
    return cells


def _right_ends(curves: Curves, rows: int) -> dict[int, int]:
    """In which row the letter of each line stands: where it ends, or as near as there is room."""
    low, high = y_range(curves)
    taken: dict[int, int] = {}
    for index, line in enumerate(curves.lines):
        known = [value for value in line.values.tolist() if math.isfinite(value)]
        if known:
            wanted = plotted_row(known[-1], low, high, rows)
            free = [row for row in range(rows) if row not in taken]
            if free:
                taken[min(free, key=lambda row: abs(row - wanted))] = index
    return taken


def _ticks(low: float, high: float, rows: int, unit: float) -> dict[int, str]:
    ticks = {}
    for row in sorted({0, rows // 2, rows - 1}):
        value = high - (high - low) * row / (rows - 1)
        ticks[row] = f"{(value if abs(value) > 1e-9 * (high - low) else 0.0) / unit:.3g}"
    return ticks


def _x_axis(curves: Curves, margin: int, width: int, ascii_only: bool) -> list[Text]:
    """As many of the labels as there is room for, each under its point."""
    line, end = "", -1
    for at, label in zip(columns_of_points(curves, width), curves.labels, strict=True):
        shown = _cut(label, 10, ascii_only)
        start = min(at, width + 2 - cell_len(shown))
        if start > end:
            line += " " * (start - cell_len(line)) + shown
            end = start + cell_len(shown)
    return [Text(" " * margin + line, "dim"), Text(" " * margin + curves.across, "dim")]


def _legend(curves: Curves, width: int, inks: Sequence[str], ascii_only: bool) -> list[Text]:
    """A letter, how its line is drawn, and its name; over as many lines as it takes."""
    lines = [Text()]
    for index, each in enumerate(curves.lines):
        entry = Text(f"{LETTERS[index]} ", f"bold {inks[index % len(inks)]}")
        if not ascii_only:
            entry.append(_sample(_PATTERNS[index % len(_PATTERNS)]) + " ", inks[index % len(inks)])
        entry.append(_cut(each.name, max(4, width - 8), ascii_only))
        if lines[-1].cell_len and lines[-1].cell_len + 2 + entry.cell_len > width:
            lines.append(Text())
        lines[-1].append("  " if lines[-1].cell_len else "").append_text(entry)
    if curves.note:
        lines.append(Text(_cut(curves.note, width, ascii_only), "dim"))
    return lines


def _sample(pattern: Sequence[int]) -> str:
    dots = [pattern[i % len(pattern)] for i in range(8)]
    return "".join(
        chr(0x2800 + (0x02 if dots[i] else 0) + (0x10 if dots[i + 1] else 0))
        for i in range(0, 8, 2)
    )


def _letters_of(text: str, ascii_only: bool) -> str:
    """``text`` in what the terminal can show; the space of a token as it is shown there."""
    if not ascii_only:
        return text
    return visible(ours_in_ascii(text.replace("·", "_")), ascii_only=True)


def _cut(text: str, width: int, ascii_only: bool) -> str:
    shown = _letters_of(text, ascii_only)
    return fit(shown, min(width, cell_len(shown)), ellipsis="~" if ascii_only else "…")
