"""Which head is selected, by the user or because it is the strongest. Pure."""

from __future__ import annotations

from tui.session.state import State


def selected_head(state: State) -> tuple[int, int]:
    """(layer, head) that is selected; before that the strongest known head, else the first one.

    Where a whole layer is selected: the head that was looked at last, in that layer. An MLP looks at
    nothing: beside it the head stays that was selected before.
    """
    layer, head = state.selection.layer, state.selection.head
    if state.selection.mlp:
        if state.selection.last_head is not None:
            return state.selection.last_head
        layer = None
    if layer is not None and head is not None:
        return max(0, layer), head
    heads, last = state.slots["heads"].result, state.slots["attention"].request
    strongest = (0, 0)
    if heads is not None:
        far = abs(heads.values - heads.neutral)
        far[far != far] = -1.0  # not computed, or no head
        strongest = divmod(int(far.argmax()), heads.values.shape[1])
    if layer is None:
        return strongest
    return max(0, layer), int(last.params["heads"][0]) if last is not None else strongest[1]
