"""Which neurons are listed, and the row of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interpboard.registry.component_names import neuron_label
from tui import words
from tui.widgets.bars import Bar

if TYPE_CHECKING:
    import numpy as np

_MOST = 200  # neurons in the list, besides the strongest of each layer


def neuron_name(neuron: tuple[int, int]) -> str:
    """As it is shown, ``L2 N5``."""
    return neuron_label(*neuron)


def neuron_bar(neuron: tuple[int, int], value: float, limit: float) -> Bar:
    """Its row in the list; ``limit`` is the value of the longest bar."""
    written = ".".join(map(str, neuron))
    return Bar(neuron_name(neuron), words.signed(value), value / limit, names=(written,))


def strongest_neurons(
    values: np.ndarray, layer: int | None, also: tuple[int, int] | None
) -> list[tuple[int, int]]:
    """Neurons by |contribution|: the strongest, of each layer the strongest, and ``also``."""
    import numpy as np

    size = np.nan_to_num(np.abs(values), nan=-1.0)
    if layer is not None:
        size = np.where(np.arange(len(size))[:, None] == layer, size, -1.0)
    count = min(_MOST, size.size)
    best = np.argpartition(-size, count - 1, axis=None)[:count]
    found = {divmod(int(i), size.shape[1]) for i in best}
    found |= {(row, int(size[row].argmax())) for row in range(len(size))}
    if also is not None and also[0] < len(size) and also[1] < size.shape[1]:
        found.add(also)
    return sorted((at for at in found if size[at] >= 0), key=lambda at: (-size[at], at))
