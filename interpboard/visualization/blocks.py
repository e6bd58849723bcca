"""The building blocks of the text views: bars, a painted prompt, a grid, the lens. Arrays → lines.

A *page style* says how wide the page is and what the terminal can show; every block is a pure function
of values and a page, and returns rich ``Text`` lines no wider than the page. Strings from a model
or a prompt enter only through ``PageStyle.token`` and ``PageStyle.words``, and never as markup. What colour
says is said in characters too: the sign is always in front of a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO

import numpy as np
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from interpboard.display import fit, line_kept_apart, ours_in_ascii, visible, visible_token
from interpboard.results.intervals import UNSURE
from interpboard.results.labels import visible_label
from interpboard.visualization.colors import Scale, short_number, text_on
from interpboard.visualization.numbers import exponent_of, share_words, times

_EIGHTHS = " ▏▎▍▌▋▊▉"
_NUMBER = 6  # cells of a number beside a bar or under a token: "+12.34"
_LABEL_MOST = 24
_GRID_CELLS = (7, 6, 5, 4)  # widths of a cell, the gap in front of it included
_LENS_CELLS = (14, 13, 12, 11, 10)  # a token, three cells of percentage, a gap


@dataclass(frozen=True)
class PageStyle:
    """How the page looks: its width in cells, dark or light background, ASCII only or not."""

    width: int
    dark: bool = True
    ascii_only: bool = False

    @property
    def ellipsis(self) -> str:
        return "~" if self.ascii_only else "…"

    def token(self, token: str) -> str:
        """A token, harmless, with its spaces shown."""
        return visible_token(token, ascii_only=self.ascii_only)

    def label(self, axis: str, label: str) -> str:
        """A label of the axis named ``axis``, harmless."""
        return visible_label(axis, label, ascii_only=self.ascii_only)

    def words(self, text: str) -> str:
        """A string that is not ours (a prompt, a model's name), harmless."""
        return visible(text, ascii_only=self.ascii_only)

    def ours(self, text: str) -> str:
        """A string of our own source, in ASCII where that is all there is."""
        return ours_in_ascii(text) if self.ascii_only else text

    def fit(self, text: str, width: int) -> str:
        """``text`` in exactly ``width`` cells."""
        return fit(text, width, ellipsis=self.ellipsis)

    def number(self, value: float, width: int, *, signed: bool = True) -> str:
        """``value`` in at most ``width`` cells; without ``signed`` a plus is not shown."""
        shown = short_number(value, width)
        if not signed and shown.startswith("+") and len(shown) > 1:
            shown = short_number(value, width + 1)[1:]
        return "." if shown == "·" and self.ascii_only else shown

    def paint(self, scale: Scale, value: float) -> str:
        """The style of a cell that holds ``value``; none for what is not known."""
        if math.isnan(value):
            return ""
        behind = scale.background(value, dark=self.dark)
        return f"{text_on(behind)} on {behind}"


def wrapped(text: str, page: PageStyle, style: str = "") -> list[Text]:
    """``text`` (harmless) over as many lines as the width asks for, cut inside words if need be."""
    console = Console(width=page.width, file=StringIO(), _environ={})
    return list(Text(text, style).wrap(console, page.width, overflow="fold")) or [Text()]


def bars(
    values: np.ndarray,
    labels: Sequence[str],
    scale: Scale,
    page: PageStyle,
    label_most: int = _LABEL_MOST,
    unsure: np.ndarray | None = None,
) -> list[Text]:
    """One line an entry: (harmless) label, bar, number. Probabilities as percentages. Behind the number a
    question mark where it is ``unsure``."""
    widest = max((cell_len(label) for label in labels), default=0)
    label_width = min(widest, label_most, max(1, page.width // 2))
    number_width = 8
    marks = [f" {UNSURE}" if each else "" for each in unsure] if unsure is not None else []
    marks = marks or [""] * len(values)
    exponent = shared_exponent(values, scale)
    unit = 10.0**exponent
    room = max(4, page.width - label_width - number_width - 3 - max(map(len, marks), default=0))
    lines = factor_line(exponent, page)
    for value, label, mark in zip(values.tolist(), labels, marks, strict=True):
        line = Text(page.fit(label, label_width) + "  ")
        share = 0.0 if math.isnan(value) else scale.share(value)
        bar = _bar(abs(share), min(room, 40), page)
        line.append(bar, scale.background(scale.ends[share >= 0], dark=page.dark))
        line.append(_bar_number(value / unit, scale, page).rjust(number_width) + mark)
        lines.append(line)
    return _in_place(lines)


def strip(
    values: np.ndarray,
    tokens: Sequence[str],
    scale: Scale,
    page: PageStyle,
    unsure: np.ndarray | None = None,
) -> list[Text]:
    """The prompt, each token painted by its value, the number under it, over several lines; a question mark
    behind those that are ``unsure``."""
    marks = np.zeros(len(values), dtype=bool) if unsure is None else unsure
    exponent = shared_exponent(values, scale)
    lines = factor_line(exponent, page)
    upper, lower = Text(), Text()
    for value, token, mark in zip(values.tolist(), tokens, marks.tolist(), strict=True):
        shown = page.token(token)
        number = page.number(value / 10.0**exponent, _NUMBER, signed=scale.diverging)
        number += UNSURE if mark else ""
        width = min(max(cell_len(shown), cell_len(number)), page.width)
        if upper.cell_len and upper.cell_len + 1 + width > page.width:
            lines += [upper, lower]
            upper, lower = Text(), Text()
        if upper.cell_len:
            upper.append(" ")
            lower.append(" ")
        upper.append(page.fit(shown, width), page.paint(scale, value))
        lower.append(number.ljust(width))
    return _in_place([*lines, upper, lower] if upper.cell_len else lines)


def grid(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    corner: str,
    scale: Scale,
    page: PageStyle,
    *,
    numbered: bool = False,
    letters: Mapping[tuple[int, int], str] | None = None,
) -> list[Text]:
    """A row a label, a painted number a cell; split into blocks of columns on a narrow page.

    ``numbered`` puts the columns' positions above their labels (tokens repeat, positions do not).
    ``letters`` of cells, by (row, column), stand in front of the numbers, apart from them.
    """
    most = max(map(len, letters.values()), default=0) if letters else 0
    beside = 1 + most if most else 0
    label_width = min(max(cell_len(text) for text in (corner, *rows)), _LABEL_MOST)
    room = page.width - label_width
    widths = [width + beside for width in _GRID_CELLS]
    cell = next((c for c in widths if c * len(columns) <= room), widths[2])
    exponent = shared_exponent(values, scale)
    lines = factor_line(exponent, page)
    for block, (start, stop) in enumerate(_blocks(len(columns), max(1, room // cell))):
        if block:
            lines.append(Text())
        if numbered:
            heads = map(str, range(start, stop))
            lines.append(_heading(heads, "position", label_width, cell, page))
        lines.append(_heading(columns[start:stop], corner, label_width, cell, page))
        for row, (label, entries) in enumerate(
            zip(rows, values[:, start:stop].tolist(), strict=True)
        ):
            line = Text(page.fit(label, label_width))
            for column, value in enumerate(entries, start):
                shown = page.number(
                    value / 10.0**exponent, cell - 1 - beside, signed=scale.diverging
                ).rjust(cell - beside)
                if letters:
                    shown = f" {letters.get((row, column), '').ljust(most)}{shown}"
                line.append(shown, page.paint(scale, value))
            lines.append(line)
    return _in_place(lines)


def lens(
    values: np.ndarray,
    top: np.ndarray,
    layers: Sequence[str],
    tokens: Sequence[str],
    page: PageStyle,
    settled: Sequence[str] | None = None,
) -> list[Text]:
    """Layers × tokens: the top token of each cell, painted by the target's probability ``values``.

    The probability stands beside it in percent from 1 up. ``top`` holds the tokens themselves.
    ``settled`` is a last row, the layer from which on each column's top token stays.
    """
    scale = Scale(1.0, diverging=False)
    label_width = max(cell_len(text) for text in ("position", *layers)) + 1
    room = page.width - label_width
    cell = next((c for c in _LENS_CELLS if c * len(tokens) <= room), _LENS_CELLS[2])
    lines: list[Text] = []
    for start, stop in _blocks(len(tokens), max(1, room // cell)):
        if lines:
            lines.append(Text())
        heads = map(str, range(start, stop))
        lines.append(_heading(heads, "position", label_width, cell, page, left=True))
        names = [page.token(token) for token in tokens[start:stop]]
        lines.append(_heading(names, "layer", label_width, cell, page, left=True))
        for i, label in enumerate(layers):
            line = Text(page.fit(label, label_width))
            for j in range(start, stop):
                value = float(values[i, j])
                percent = "" if math.isnan(value) or value < 0.005 else f"{100 * value:.0f}"
                shown = page.fit(page.token(str(top[i, j])), cell - 4) + percent.rjust(3)
                line.append(shown, page.paint(scale, value))
                line.append(" ")
            lines.append(line)
        if settled is not None:
            names = [page.words(label) for label in settled[start:stop]]
            lines.append(_heading(names, "settled", label_width, cell, page, left=True))
    return _in_place(lines)


def _in_place(lines: list[Text]) -> list[Text]:
    """``lines`` of cells, each cell where it belongs also where a terminal turns text round."""
    for line in lines:
        line.plain = line_kept_apart(line.plain)
    return lines


def shared_exponent(values: np.ndarray, scale: Scale) -> int:
    """The power of ten that the numbers of a block share; shares of 1 are written as they are."""
    return 0 if scale.of_shares else exponent_of(values)


def factor_line(exponent: int, page: PageStyle) -> list[Text]:
    """What the numbers of a block share, above it; nothing where they are written as they are."""
    shown = times(exponent, ascii_only=page.ascii_only)
    return [Text(f"numbers {shown}", "dim")] if shown else []


def _bar(share: float, width: int, page: PageStyle) -> str:
    if page.ascii_only:
        return ("#" * round(share * width)).ljust(width)
    eighths = round(share * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def _bar_number(value: float, scale: Scale, page: PageStyle) -> str:
    if math.isnan(value):
        return page.number(value, 1)
    return share_words(value) if scale.of_shares else page.number(value, 7, signed=scale.diverging)


def _blocks(count: int, size: int) -> list[tuple[int, int]]:
    """Ranges of at most ``size`` that cover ``count`` entries; the last is full."""
    starts = range(count - size, -size, -size)
    return [(max(0, start), start + size) for start in reversed(starts)]


def _heading(
    labels: Iterable[str],
    corner: str,
    label_width: int,
    cell: int,
    page: PageStyle,
    left: bool = False,
) -> Text:
    line = Text(page.fit(corner, label_width), "dim")
    for label in labels:
        short = label if cell_len(label) < cell else page.fit(label, cell - 1)
        gap = " " * (cell - cell_len(short))
        line.append(short + gap if left else gap + short)
    return line
