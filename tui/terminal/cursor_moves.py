"""The shortest way of the cursor from one cell to another.

Only what every terminal does alike: up, down, left, right, to a column, to a cell, back by one, to the first
column. Nothing that scrolls, and no line feed, which the terminal driver of the system may turn into two.
"""

from __future__ import annotations

SOMEWHERE = -1  # in the line, at a column that is not known
_BACK = "\b"  # one cell to the left; from three cells on a sequence is as short


def cursor_way(y: int, x: int, to_y: int, to_x: int) -> str:
    """From line ``y``, column ``x`` to another cell, counted from 0; line −1: not known."""
    there = f"\x1b[{to_y + 1};{to_x + 1}H" if to_x else f"\x1b[{to_y + 1}H"
    if y < 0:
        return there
    down = to_y - y
    vertical = "" if not down else _by(down, "B") if down > 0 else _by(-down, "A")
    if not to_x:
        aside = "\r"
    elif x == SOMEWHERE:
        aside = f"\x1b[{to_x + 1}G"
    else:
        right = to_x - x
        if right >= 0:
            aside = _by(right, "C") if right else ""
        else:
            aside = _BACK * -right if right > -4 else _by(-right, "D")
        if len(aside) > 4 and len(column := f"\x1b[{to_x + 1}G") < len(aside):
            aside = column
    stepwise = aside + vertical  # first aside: behind the last column some count from the next line
    return stepwise if len(stepwise) <= len(there) else there


def _by(count: int, how: str) -> str:
    return f"\x1b[{count}{how}" if count > 1 else f"\x1b[{how}"
