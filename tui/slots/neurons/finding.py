"""Searching the neurons: those that the list shows, and by its address any other there is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from interpboard.registry.component_names import neuron_label
from tui.widgets.cells import CursorPlace, SearchCell

if TYPE_CHECKING:
    import numpy as np

Neuron = tuple[int, int]
_ADDRESS = re.compile(r"\s*[lL]?([EDX]?\d+)(?:\.|\s*N)(\d+)\s*", re.IGNORECASE)


class NeuronSearch:
    """``shown`` are the neurons in the list, the first under the cursor where ``chosen`` is it; ``values``
    [layer, neuron] of all, as they are listed where that layer is, None while there are none; ``layers`` are
    the names of its layers. ``show`` lists a neuron and puts the cursor on it.

    A place is where a neuron stands among all of them: by the size of its value, as in the list.
    """

    def __init__(
        self,
        shown: Callable[[], Sequence[Neuron]],
        chosen: Callable[[], Neuron | None],
        values: Callable[[int | None], np.ndarray | None],
        show: Callable[[Neuron], None],
        layers: Callable[[], Sequence[str]],
    ) -> None:
        self._shown, self._chosen, self._values, self._show = shown, chosen, values, show
        self._layers = layers

    def _cell(self, neuron: Neuron, note: str = "") -> SearchCell:
        layer, number = neuron
        values = self._values(None)
        size = 0.0 if values is None else -abs(float(values[neuron]))
        size = size if size == size else 0.0  # in no list that is shown
        name = self._layers()[layer]
        names = (neuron_label(name, number), f"{name}.{number}")
        return SearchCell((size, layer, number), names, note=note)

    @property
    def place(self) -> CursorPlace:
        """That of the neuron under the cursor."""
        chosen = self._chosen()
        return self._cell(chosen).place if chosen is not None else ()

    def cells(self, around: CursorPlace) -> Sequence[SearchCell]:
        """The neurons in the list."""
        return [self._cell(neuron) for neuron in self._shown()]

    def beyond(self, query: str) -> Sequence[SearchCell]:
        """The neuron of that address, with its rank."""
        import numpy as np

        address, layers = _ADDRESS.fullmatch(query), self._layers()
        if address is None or address[1].upper() not in layers:
            return ()
        neuron = layers.index(address[1].upper()), int(address[2])
        values = self._values(neuron[0])
        if (
            values is None
            or neuron[0] >= len(values)
            or neuron[1] >= values.shape[1]
            or np.isnan(values[neuron])
        ):
            return ()
        rank = 1 + int((np.abs(values) > abs(values[neuron])).sum())
        return [self._cell(neuron, f"number {rank:,} of {int((~np.isnan(values)).sum()):,}")]

    def go(self, place: CursorPlace) -> None:
        """The cursor on the neuron, which joins the list if it is not in it."""
        if place:
            self._show((place[1], place[2]))

    def leave(self) -> None:
        """The cursor stays."""
