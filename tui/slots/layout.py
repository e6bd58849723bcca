"""Which panes are in sight, given the classes of the screen and where the user has been. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.slots.spec import Slot

ONE_PANE = ("-narrow", "-low", "-zoomed")  # classes of the screen
FRAMELESS = ("-slim", "-flat")  # either of them
ALL_PANES = ("-wide", "-high")  # both of them


def in_sight(
    slots: Sequence[Slot], classes: Collection[str], active: str, visited: Sequence[str]
) -> set[str]:
    """The names of the slots whose panes are shown. ``visited``: in the order of the visits.

    Between one pane and all of them, the panes of a group share a place: the last visited is in sight.
    """
    names = [slot.name for slot in slots]
    if any(name in classes for name in ONE_PANE):
        return {active}
    if all(name in classes for name in ALL_PANES):
        return set(names)
    hidden: set[str] = set()
    for group in {slot.place.group for slot in slots if slot.place is not None} - {""}:
        here = [slot.name for slot in slots if slot.place is not None and slot.place.group == group]
        been = [name for name in visited if name in here]
        shown = been[-1] if been else here[0]
        hidden |= {name for name in here if name != shown}
    return set(names) - hidden
