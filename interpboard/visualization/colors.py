"""One colour-blind-safe scale for every view: nine levels, blue for negative, orange for positive.

All colours are exact entries of the 256-colour cube, so truecolor, 256 colours and a multiplexer's
downgrade look the same, and equal neighbours merge into one escape sequence. The two ends differ by
ΔE ≥ 42 under simulated protan, deutan and tritan vision. Where there is no colour the sign is shown
as text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the app reads the colours before it can afford numpy
    import numpy as np

    from interpboard.registry.spec import ScaleKind

DARK = (
    "#87d7ff", "#5fafd7", "#0087af", "#005f87", "#1c1c1c",
    "#875f00", "#af8700", "#d7af00", "#ffd75f",
)  # fmt: skip
LIGHT = (
    "#005faf", "#5f87d7", "#87afd7", "#afd7ff", "#e4e4e4",
    "#ffd7af", "#ffaf5f", "#d78700", "#af5f00",
)  # fmt: skip
MIDDLE = len(DARK) // 2
_ROUNDING = 1e-6  # of a scale's limit, as single precision leaves it


@dataclass(frozen=True)
class Scale:
    """Maps values to colour levels. ``limit`` is how far the last level is from ``center``, always > 0.

    Diverging: center − limit … center … center + limit over levels 0 … 8; ``center`` is the neutral
    value. Sequential (``diverging=False``): 0 … limit over the orange arm, levels 4 … 8. ``shares``: whether
    values are shares of 1, also where one is above it; None: those of a sequential scale to 1 are.
    """

    limit: float
    diverging: bool = True
    center: float = 0.0
    shares: bool | None = None

    @classmethod
    def of(cls, values: np.ndarray, *, diverging: bool, center: float = 0.0) -> Scale:
        """The scale that fits ``values``; probabilities always end at 1. NaN is passed over."""
        import numpy as np

        if not diverging:
            return cls(1.0, diverging=False)
        finite = np.abs(values[np.isfinite(values)] - center)
        largest = float(finite.max()) if finite.size else 0.0
        return cls(largest if largest > 0 else 1.0, center=center)

    @classmethod
    def of_kind(cls, values: np.ndarray, kind: ScaleKind, center: float = 0.0) -> Scale:
        """The scale of a registry's kind: magnitudes go from 0 to the largest."""
        fitting = cls.of(values, diverging=kind != "probability", center=center)
        return cls(fitting.limit, diverging=False, shares=False) if kind == "magnitude" else fitting

    @property
    def ends(self) -> tuple[float, float]:
        """The values of the first and the last colour."""
        ends = (self.center - self.limit if self.diverging else 0.0, self.center + self.limit)
        # What is left of a difference of two equal numbers is no end of a scale: it is 0.
        low, high = (0.0 if abs(end) < _ROUNDING * self.limit else end for end in ends)
        return low, high

    def share(self, value: float) -> float:
        """How far ``value`` is from the neutral one, −1 … 1 of the limit; below 0 on the lower side."""
        return max(-1.0, min(1.0, (value - self.center) / self.limit))

    @property
    def of_shares(self) -> bool:
        """Whether it is of shares and probabilities, which are written as such."""
        if self.shares is not None:
            return self.shares
        return not self.diverging and self.limit == 1.0

    def level(self, value: float) -> int:
        """Colour level of ``value``, 0 … 8; 4 (the neutral one) for NaN."""
        if math.isnan(value):
            return MIDDLE
        share = self.share(value)
        if not self.diverging:
            share = max(0.0, share)
        return MIDDLE + round(share * MIDDLE)

    def background(self, value: float, *, dark: bool = True) -> str:
        """Hex colour behind ``value``."""
        return (DARK if dark else LIGHT)[self.level(value)]

    def foreground(self, value: float, *, dark: bool = True) -> str:
        """Hex colour of text that reads well on ``background``."""
        return text_on((DARK if dark else LIGHT)[self.level(value)])


def text_on(background: str) -> str:
    """Black or white, whichever contrasts more with ``background`` (WCAG relative luminance)."""
    luminance = relative_luminance(background)
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#ffffff"


def relative_luminance(color: str) -> float:
    """WCAG 2 relative luminance of ``#rrggbb``, 0 … 1."""
    channels = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def short_number(value: float, width: int) -> str:
    """``value`` in at most ``width`` characters, sign always shown: ``-.42``, ``+12``, ``+1k``.

    What is too small to show at that width is its power of ten, ``+4e-8``, where that fits, or its sign
    alone: only zero is ``0``. What is too large is ``+>`` or ``->``; NaN is ``·``.
    """
    if math.isnan(value):
        return "·"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else "+"
    if width <= 1:
        return sign
    size = abs(value)
    for digits in range(width, -1, -1):
        text = f"{size:.{digits}f}"
        if text.startswith("0."):
            text = text[1:]
        if len(text) < width:
            return sign + (_tiny(size, width - 1) if float(text or 0) == 0 else text)
    for unit, factor in (("k", 1e3), ("M", 1e6), ("G", 1e9)):
        text = f"{size / factor:.0f}{unit}"
        if len(text) < width and factor * 0.95 <= size < factor * 1e3:
            return sign + text
    return sign + ">"


def _tiny(size: float, width: int) -> str:
    """``4e-8`` in at most ``width`` characters, else nothing."""
    digit, _, power = f"{size:.0e}".partition("e")
    text = f"{digit}e{int(power)}"
    return text if len(text) <= width else ""
