"""Panes are made for what is in sight at first; the others come once that has been painted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from textual.widget import Widget

    from tui.slots.pane import Pane
    from tui.slots.spec import Slot


class GrowingPanes(Protocol):
    """The panes as they are needed here."""

    @property
    def views(self) -> Sequence[Pane]:
        """Those that are there."""

    @property
    def slots(self) -> Sequence[Slot]:
        """The slots that have a pane, by its number."""

    def at_first(self) -> Sequence[Slot]:
        """The slots whose panes are in sight at the start."""

    def select(self, **places: object) -> None:
        """A cursor has moved."""

    def add(self, views: Iterable[Pane]) -> None:
        """These are there now too."""


def make_pane(slot: Slot, select: Callable[..., None]) -> Pane:
    """The pane of a slot."""
    pane: Pane = slot.load_view()(slot, select)
    return pane


def first_panes(panes: GrowingPanes) -> list[Pane]:
    """The panes that are in sight at the start."""
    return [make_pane(slot, panes.select) for slot in panes.at_first()]


async def mount_missing(box: Widget, panes: GrowingPanes) -> None:
    """Make the panes that are not there, out of sight and at their places in ``box``."""
    there, new_panes, mounted = {pane.slot.name for pane in panes.views}, [], []
    for at, slot in enumerate(panes.slots):
        if slot.name not in there:
            pane = make_pane(slot, panes.select)
            pane.display = False
            new_panes.append(pane)
            mounted.append(box.mount(pane, before=at if at < len(box.children) else None))
    for each in mounted:
        await each
    if new_panes and box.is_attached:
        panes.add(new_panes)
