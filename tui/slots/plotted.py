"""What a plot of a pane draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interpboard.errors import BadParameter
from tui.dialogs.plot import Plotted

if TYPE_CHECKING:
    from tui.slots.pane import Pane


def plotted(pane: Pane) -> Plotted:
    """Its result as it is shown, at the selected position. Raises ``BadParameter`` where there is none."""
    result, place = pane.data.result, pane.slot.place
    assert place is not None
    if result is None:
        raise BadParameter(f"{place.title} has nothing to draw yet.", "")
    if pane.slot.as_shown is not None:
        result = pane.slot.as_shown(pane.state, result)
    older = "of an older question" if pane.slot.stale(pane.state) else ""
    at = pane.state.selection.token
    over = [len(axis.labels) for axis in result.axes if axis.name in ("token", "query")]
    inside = at is not None and bool(over) and at < over[0]
    return Plotted(result, at if inside else None, place.title, older)
