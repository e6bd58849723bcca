"""The strongest entries of a result with their intervals, as every forest plot draws them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.text import Text

from interpboard.display import visible
from interpboard.errors import BadParameter
from interpboard.results import Result
from interpboard.results.intervals import UNSURE, has_intervals, unsure_entries, unsure_words
from interpboard.results.labels import visible_label
from interpboard.results.top import Entry
from interpboard.visualization.blocks import PageStyle, wrapped
from interpboard.visualization.reading import strongest_first


@dataclass(frozen=True)
class EntryInterval:
    """An entry of a result, the ends of its interval, and ``sure``: whether the neutral value is outside."""

    entry: Entry
    low: float
    high: float
    sure: bool


def strongest_intervals(result: Result, most: int) -> list[EntryInterval]:
    """At most ``most`` entries, the strongest first; none without intervals."""
    if not has_intervals(result):
        return []
    found = []
    for entry in result.top(most, by=strongest_first(result)):
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


def unsure_note(result: Result, page: PageStyle) -> list[Text]:
    """What the mark on an entry says, where one has it."""
    words = f"{UNSURE} {unsure_words(result)}"
    return wrapped(words, page, "dim") if unsure_entries(result).any() else []


def entry_words(entry: Entry) -> str:
    """``layer 0 head 3``."""
    return " ".join(
        f"{visible(name)} {visible_label(name, text)}" for name, text in entry.labels.items()
    )
