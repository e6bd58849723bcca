"""Which head and which neuron are selected, by the user or because they are the strongest. Pure."""

from __future__ import annotations

from tui.session.state import State


def selected_head(state: State) -> tuple[int, int]:
    """(layer, head) that is selected; before that the strongest known head, else the first one.

    Where a whole layer is selected: the head that was looked at last, in that layer.
    """
    layer, head = state.selection.layer, state.selection.head
    if layer is not None and head is not None:
        return max(0, layer), head
    heads, last = state.slots["heads"].result, state.slots["attention"].request
    strongest = (0, 0)
    if heads is not None:
        strongest = divmod(int(abs(heads.values - heads.neutral).argmax()), heads.values.shape[1])
    if layer is None:
        return strongest
    return max(0, layer), int(last.params["heads"][0]) if last is not None else strongest[1]


def selected_neuron(state: State) -> tuple[int, int] | None:
    """(layer, number) of the neuron that is selected, else of the strongest of the selected layer.

    None while it is not known which that is.
    """
    layer, chosen = state.selection.layer, state.selection.neuron
    if chosen is not None and layer in (None, chosen[0]):
        return chosen
    known = state.slots["neurons"]
    if known.result is None or known.question != state.question:
        return None
    sizes = abs(known.result.values)
    sizes[sizes != sizes] = -1.0  # narrower layers end in NaN
    if layer is not None and 0 <= layer < len(sizes):
        return layer, int(sizes[layer].argmax())
    return divmod(int(sizes.argmax()), sizes.shape[1])
