"""What each intervention does to the metric by itself, as far as the newest result knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.session.interventions import ListedInterventions
from tui.session.state import State
from tui.slots.what_if.spec import WHAT_IF

if TYPE_CHECKING:
    import numpy as np


def effects_alone(state: State) -> dict[str, float]:
    """Effect of each intervention that is on, and of each set beside them, made alone; by its text.

    Empty where the result is of an older list or question.
    """
    edited = state.edited("what_if")
    if edited is None or WHAT_IF.stale(state):
        return {}
    items, beside = state.interventions.on, state.interventions.compared
    found: dict[str, float] = {}
    if len(items) == 1:
        found[items[0].text] = float(edited.extra["effect"].values)
    elif "alone" in edited.extra:
        found |= _by_text(items, edited.extra["alone"].values)
    if beside and "control" in edited.extra:
        found |= _by_text(beside, edited.extra["control"].values)
    return found


def _by_text(items: ListedInterventions, values: np.ndarray) -> dict[str, float]:
    """Nothing where an item was typed as several: whose value is whose is then not known."""
    if len(items) != len(values):
        return {}
    return {item.text: float(value) for item, value in zip(items, values, strict=True)}
