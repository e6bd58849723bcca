"""What is written in a cell of a grid: a number with its letter, a word, or a mark where room is scarce."""

from __future__ import annotations

import math

from rich.segment import Segment

from interpboard.display import fit, kept_apart
from tui.widgets.grid_data import GridData
from tui.widgets.grid_layout import MARKED_WIDTHS

GLYPHS = " ▁▂▃▄▅▆▇█"


def lettered(data: GridData, width: int) -> bool:
    """Have cells of ``width`` columns one for a letter?"""
    return data.badges is not None and data.words is None and width in MARKED_WIDTHS


def cell_text(
    data: GridData, at: tuple[int, int], width: int, *, line: int = 0, letters_only: bool = False
) -> str:
    """``width`` columns of the cell ``at``. ``line``: of a cell of two. ``letters_only``: no colours."""
    if at in data.off:
        return "off".rjust(width) if width >= 4 else "x".rjust(width)
    if line == 1 and data.notes is not None:
        return _word(str(data.notes[at]), width)
    if data.words is not None:
        return _word(str(data.words[at]), width)
    value = float(data.values[at])
    if math.isnan(value):
        return data.absent.center(width)
    mark = data.mark(*at)
    if width >= 4 or (width == 3 and not data.scale.diverging):
        return _number(data, at, value, width, mark)
    if mark and width == 1 and (mark == "?" or not letters_only):
        return mark
    return _glyph(data, value, width, mark, letters_only)


def _word(text: str, width: int) -> str:
    return f" {fit(text, width - 1)}"


def _number(data: GridData, at: tuple[int, int], value: float, width: int, mark: str) -> str:
    from interpboard.visualization.colors import short_number

    letter = ""
    if lettered(data, width):
        letter = f" {(data.badges or {}).get(at, ' ')}"
        width -= 2
    value /= 10.0**data.exponent
    if data.scale.diverging:
        # A space: numbers do not touch. Where there is no room for both, the mark stands in its place.
        both = width > 4 or bool(letter)
        text = short_number(value, width - (1 + len(mark) if both else 1))
    else:
        text = short_number(value, width - (width >= 5 or bool(mark)))
        text = (text.removeprefix("+") or ".0") if value else text
    return letter + f"{mark}{text}".rjust(width)


def _glyph(data: GridData, value: float, width: int, mark: str, letters_only: bool) -> str:
    from interpboard.visualization.colors import MIDDLE

    level = data.scale.level(value)
    glyph = mark or GLYPHS[min(8, abs(level - MIDDLE) * 2)]
    if not data.scale.diverging:
        return glyph.rjust(width) if width > 1 or letters_only else " "
    off_center = value - data.scale.center  # as the colour says it
    sign = "-" if off_center < 0 else "+" if off_center > 0 else "0"
    if width > 1:
        return (sign + glyph).rjust(width)
    return sign if letters_only else " "


def more_columns(seen: range, columns: int, width: int) -> str:
    """Where more columns than those ``seen`` are: ``‹`` before them, ``›`` behind; in ``width`` cells."""
    marks = ("‹" if seen.start > 0 else "") + ("›" if seen.stop < columns else "")
    return fit(marks.rjust(width - 1), width)


def in_place(segments: list[Segment]) -> list[Segment]:
    """Each label and cell where it belongs, also where text is turned round."""
    texts = kept_apart([segment.text for segment in segments])
    return [Segment(text, segment.style) for text, segment in zip(texts, segments, strict=True)]
