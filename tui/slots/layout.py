"""Which panes are in sight, given the classes of the screen and where the user has been. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

ONE_PANE = ("-narrow", "-low", "-zoomed")  # classes of the screen
ALL_PANES = ("-wide", "-high")  # both of them
# Between the two, places that several panes share: the one visited last is in sight.
SHARED: tuple[tuple[str, ...], ...] = (("trace", "attention"), ("logits", "neurons", "runs"))


def in_sight(
    slots: Sequence[str], classes: Collection[str], active: str, visited: Sequence[str]
) -> set[str]:
    """The slots of the panes that are shown. ``visited``: slots in the order of the visits."""
    if any(name in classes for name in ONE_PANE):
        return {active}
    if all(name in classes for name in ALL_PANES):
        return set(slots)
    hidden: set[str] = set()
    for group in SHARED:
        here = [slot for slot in group if slot in slots]
        been = [slot for slot in visited if slot in here]
        shown = been[-1] if been else next(iter(here), "")
        hidden |= {slot for slot in here if slot != shown}
    return set(slots) - hidden
