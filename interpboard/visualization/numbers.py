"""Numbers that stand side by side share a factor where they are small or large: ``×10⁻²`` in the title.

What is written times the factor is the value. The factor follows from the largest value alone, so that it
does not change with the width of a page or of a pane.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from interpboard.results import Result

import numpy as np

# Between these the largest value is written as it is: two digits in four characters, and not too many.
_LEAST, _MOST = 0.1, 1000.0
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def exponent_of(values: np.ndarray) -> int:
    """The power of ten that ``values`` share: their largest is written as 1 … 10, or as it is (0)."""
    if values.dtype.kind not in "fiu":
        return 0
    finite = np.abs(values[np.isfinite(values)].astype(np.float64))
    largest = float(finite.max()) if finite.size else 0.0
    if largest == 0 or _LEAST <= largest < _MOST:
        return 0
    # Never beyond what a power of ten can be divided by without leaving the numbers there are.
    return max(-300, math.floor(math.log10(largest)))


def divided(values: np.ndarray, exponent: int) -> np.ndarray:
    """``values`` as they are written beside the factor; as they are without one."""
    return values / 10.0**exponent if exponent else values


def times(exponent: int, *, ascii_only: bool = False) -> str:
    """The factor in words, ``×10⁻²`` or ``x1e-2``; empty where there is none."""
    if not exponent:
        return ""
    return f"x1e{exponent}" if ascii_only else f"×10{str(exponent).translate(_RAISED)}"


def number(value: float, *, signed: bool = False) -> str:
    """A number in words: four digits, a real minus is not used so that it can be pasted."""
    if not math.isfinite(value):
        return "·" if math.isnan(value) else f"{value:+}"
    value += 0.0  # −0 is 0
    return f"{value:+.4g}" if signed and value else f"{value:.4g}"


def share_words(value: float) -> str:
    """A share of 1 as a percentage of two decimals, ``99.98%``, on every page; NaN as numbers have it."""
    return f"{100 * value:.2f}%" if math.isfinite(value) else number(value)


def seconds_words(value: float) -> str:
    """``0.027 s``, ``41 s``, ``1,840 s``: two digits, or whole seconds."""
    return f"{value:.2g} s" if value < 99.5 else f"{value:,.0f} s"


def interval_words(result: Result, where: tuple[np.intp, ...], *, signed: bool) -> str:
    """`` [−0.2, +0.1]`` behind a mean that has an interval; behind that what chance gives, if it is
    there; of a difference of two groups the p-value over all cells together. ``signed``: as the mean is."""
    from interpboard.results.intervals import of_two_groups  # reads the table of analyses

    if of_two_groups(result):
        return f" (p {number(float(result.extra['p_family'].values[where]))})"
    ends = [result.extra[name] for name in ("low", "high") if name in result.extra]
    if len(ends) < 2 or any(end.axes != result.axes for end in ends):
        return ""
    values = [float(end.values[where]) for end in ends]
    known = all(value == value for value in values)  # a mean of one row has none
    shown = f" [{', '.join(number(value, signed=signed) for value in values)}]" if known else ""
    chance = (("null", "shuffled"), ("p_family", "p"))
    beside = [
        f"{name} {number(float(result.extra[key].values[where]))}"
        for key, name in chance
        if key in result.extra and "null" in result.extra
    ]
    return f"{shown} ({', '.join(beside)})" if beside else shown
