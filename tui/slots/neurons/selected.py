"""Which neuron is selected, by the user or because it is the strongest. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from interpboard.registry.layer_names import layer_names
from tui.session.state import State
from tui.slots.neurons.unwritten import most_active


def written_neuron(layers: Sequence[str], neuron: tuple[int, int]) -> str:
    """``2.117``, as it is written by hand; in an encoder–decoder ``X1.117``."""
    layer, number = neuron
    return f"{layers[layer]}.{number}"


def selected_neuron(state: State) -> tuple[int, int] | None:
    """(layer, number) of the neuron that is selected, else the strongest of the layer whose MLP is selected.

    A head has no neurons: beside it the neuron stays that was shown last, at first the strongest of all.
    None while it is not known which that is.
    """
    layer, chosen = state.selection.layer, state.selection.neuron
    if chosen is not None and (layer in (None, chosen[0]) or not state.selection.mlp):
        return chosen
    known = state.slots["neurons"]
    if known.result is None or known.question != state.question:
        return None
    sizes = abs(known.result.values)
    sizes[sizes != sizes] = -1.0  # narrower layers end in NaN
    if not state.selection.mlp:
        return _asked_last(state) or divmod(int(sizes.argmax()), sizes.shape[1])
    silent = most_active(known.result, layer)
    if silent is not None:
        return silent
    # Of a layer without any that write into the logits none: then of all the strongest.
    if layer is not None and 0 <= layer < len(sizes) and sizes[layer].max() >= 0:
        return layer, int(sizes[layer].argmax())
    return divmod(int(sizes.argmax()), sizes.shape[1])


def _asked_last(state: State) -> tuple[int, int] | None:
    """The neuron of which more was asked last, about the same question."""
    answer = state.slots["chosen_neuron"]
    asked = answer.request if answer.job is None else answer.pending
    if asked is None or asked.question != state.question:
        return None
    layer, _, number = str(asked.params["neuron"]).partition(".")
    names = layer_names(state.model.info) if state.model is not None else ()
    return (names.index(layer), int(number)) if layer in names else None
