"""The selection with what the panes show where nothing was chosen, for a state that is to show the same."""

from __future__ import annotations

from dataclasses import replace

from tui.session.selection import Selection
from tui.session.state import State
from tui.slots.heads.selected import selected_head
from tui.slots.neurons.selected import selected_neuron


def shown_selection(state: State) -> Selection:
    """With the head and the neuron that are shown."""
    selection, neuron = state.selection, selected_neuron(state)
    if selection.mlp:
        selection = replace(selection, last_head=selected_head(state))
    elif selection.layer is None or selection.head is None:
        layer, head = selected_head(state)
        selection = replace(selection, layer=layer, head=head)
    return replace(selection, neuron=neuron) if neuron is not None else selection
