"""The strongest entries of a result with their intervals, as every forest plot draws them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.results import Result
from interpboard.results.labels import visible_label
from interpboard.results.top import Entry


@dataclass(frozen=True)
class EntryInterval:
    """An entry of a result, the ends of its interval, and ``sure``: whether the neutral value is outside."""

    entry: Entry
    low: float
    high: float
    sure: bool


def has_intervals(result: Result) -> bool:
    """Whether each entry has one: ``low`` and ``high`` over the same axes."""
    ends = [result.extra.get(name) for name in ("low", "high")]
    numbers = result.values.dtype != object and result.values.size > 0
    return numbers and all(end is not None and end.axes == result.axes for end in ends)


def strongest_intervals(result: Result, most: int) -> list[EntryInterval]:
    """At most ``most`` entries, the furthest from the neutral value first; none without intervals."""
    if not has_intervals(result):
        return []
    found = []
    for entry in result.top(most):
        where = tuple(entry.index[axis.name] for axis in result.axes)
        low, high = (float(result.extra[name].values[where]) for name in ("low", "high"))
        known = bool(np.isfinite([low, high]).all())
        found.append(
            EntryInterval(
                entry, low, high, known and not min(low, high) <= result.neutral <= max(low, high)
            )
        )
    return found


def required_intervals(result: Result, most: int) -> list[EntryInterval]:
    """The same; raises ``BadParameter`` where there are none."""
    found = strongest_intervals(result, most)
    if not found:
        raise BadParameter(
            f"{visible(result.analysis)} has no intervals.",
            "Draw the means of a sweep, or a probe.",
        )
    return found


def entry_words(entry: Entry) -> str:
    """``layer 0 head 3``."""
    return " ".join(
        f"{visible(name)} {visible_label(name, text)}" for name, text in entry.labels.items()
    )
