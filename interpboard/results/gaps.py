"""Values that are not numbers: where a method leaves none out, a result says how many there are, and why."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from msgspec.structs import replace

from interpboard.results.result import Result


def gaps_said(result: Result, defined: Collection[str], lost: int, where: str) -> Result:
    """``result``, with a warning if it has values that are not numbers.

    ``defined``: the arrays (``values``, names of ``extra``) in which the method itself leaves some out.
    ``lost``: edited runs that were not finite, ``where``: in which number format, and what to do.
    """
    words = []
    if lost:
        runs = "1 edited run is" if lost == 1 else f"{lost} edited runs are"
        words.append(f"{runs} not finite, and what rests on them has no value: {where}")
    missing = [f"{name} {counts}" for name, counts in _missing(result, defined)]
    if missing:
        why = "" if lost else ", being undefined here (a division by zero) or not finite"
        words.append(f"Values that are not numbers{why}: {', '.join(missing)}.")
    return replace(result, warnings=(*result.warnings, *words)) if words else result


def _missing(result: Result, defined: Collection[str]) -> list[tuple[str, str]]:
    arrays = {"values": result.values, **{n: each.values for n, each in result.extra.items()}}
    found = []
    for name, values in arrays.items():
        if name in defined or values.dtype.kind != "f":
            continue
        count = int((~np.isfinite(values)).sum())
        if count:
            found.append((name, f"{count} of {values.size}"))
    return found
