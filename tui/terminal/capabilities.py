"""What the terminal can show: colours or none, Unicode or ASCII. Filters on what Textual draws.

Filters see every line last, whoever drew it, so that frames, messages and text fields are covered
without knowing of it. Strings from models and prompts have passed ``display.visible`` before, which
writes escapes where only ASCII is wanted; what is left here are characters of our own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter, Monochrome, NoColor
from textual.scrollbar import ScrollBar, ScrollBarRender

from interpboard.display import ascii_everywhere

if TYPE_CHECKING:
    from textual.app import App

_ASCII = str.maketrans(
    {
        **dict.fromkeys("─╌", "-"), **dict.fromkeys("━═▬", "="), **dict.fromkeys("│┃║▏▕", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯┏┓┗┛┣┫", "+"),
        "╸": "-", "╴": ".", "█": "#", "▐": "#", "▌": "#", "▀": "#", "▄": "4",
        **dict(zip("▁▂▃▅▆▇", "123567", strict=True)), **dict.fromkeys("▎▍▋▊▉", ":"),
        "·": ".", "−": "-", "Δ": "d", "×": "x", "→": ">", "←": "<", "↑": "^", "↓": "v", "↵": "<",
        "…": "~", "›": ">", "‹": "<", "▸": ">", "▾": "v", "•": "*", "●": "*", "○": "o", "◌": "o",
        "⁺": "+", "⁻": "-", "≥": ">", "≤": "<", "±": "~", "≈": "~", "✓": "v", "✗": "x",
        "“": '"', "”": '"', "’": "'", "‘": "'", "–": "-", "—": "-", "\u2002": " ", "\u00a0": " ",
    }
)  # fmt: skip


def plain_ascii(text: str) -> str:
    """``text`` in ASCII, as many cells wide."""
    return text if text.isascii() else _replaced(text)


@lru_cache(maxsize=4096)
def _replaced(text: str) -> str:
    shown = "".join(c if c.isascii() else "?" * cell_len(c) for c in text.translate(_ASCII))
    width = cell_len(text)  # joined characters can be narrower than their parts
    return shown[:width].ljust(width)


class AsciiFilter(LineFilter):
    """Every character that is not ASCII as one that is."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """One line."""
        return [
            segment if segment.control else Segment(plain_ascii(segment.text), segment.style)
            for segment in segments
        ]


class WholeCells(ScrollBarRender):
    """A thumb of whole cells: the blocks of its ends would be digits in ASCII."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "]
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "]


def adapt(app: App[int], *, ascii_only: bool) -> None:
    """Fit ``app``'s output to the terminal. Without colour there is none, not even greys."""
    filters = [NoColor() if isinstance(own, Monochrome) else own for own in app._filters]
    app._filters[:] = [*filters, *([AsciiFilter()] if ascii_only else [])]
    ScrollBar.renderer = WholeCells if ascii_only else ScrollBarRender
    ascii_everywhere.set(ascii_only)


def signs_wanted(app: App[int]) -> bool:
    """Must signs be written, because colours cannot tell them apart?"""
    return app.no_color or app.console.color_system == "standard"
