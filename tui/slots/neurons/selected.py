"""Which neuron is selected, by the user or because it is the strongest. Pure."""

from __future__ import annotations

from tui.session.state import State


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
