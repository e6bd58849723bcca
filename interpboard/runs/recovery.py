"""When a share of the difference between two runs means anything."""

from __future__ import annotations

_NOTHING = 1e-6  # of the metric's size, and at least of 1


def tells_apart(clean: float, other: float) -> bool:
    """Whether the metric differs in two runs by more than rounding.

    Where it does not, (value − other) / (clean − other) divides one rounding error by another.
    """
    return abs(clean - other) > _NOTHING * (1 + abs(clean))
