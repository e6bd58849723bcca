"""Which neurons are listed, and the row of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from interpboard.display import visible, visible_token
from interpboard.registry.component_names import neuron_label
from tui import words
from tui.slots.neurons.selected import written_neuron
from tui.slots.neurons.unwritten import unwritten
from tui.widgets.bars import Bar
from tui.widgets.rows import Row

if TYPE_CHECKING:
    import numpy as np

    from interpboard.results import PromptInfo, Result
    from interpboard.results.examples import NeuronExamples

_MOST = 200  # neurons in the list, besides the strongest of each layer


def neuron_name(layers: Sequence[str], neuron: tuple[int, int]) -> str:
    """As it is shown, ``L2 N5``; ``layers`` are their names."""
    return neuron_label(layers[neuron[0]], neuron[1])


def neuron_bar(layers: Sequence[str], neuron: tuple[int, int], value: float, limit: float) -> Bar:
    """Its row in the list; ``limit`` is the value of the longest bar."""
    written = written_neuron(layers, neuron)
    return Bar(neuron_name(layers, neuron), words.signed(value), value / limit, names=(written,))


def token_bars(found: Result, name: str) -> tuple[list[Bar], str]:
    """The tokens that a unit of a neuron ``promoted`` or ``suppressed``, and what their numbers are times."""
    from interpboard.visualization.colors import short_number
    from interpboard.visualization.numbers import divided, exponent_of

    values = found.extra[f"{name}_by"].values
    exponent = exponent_of(values)
    values = divided(values, exponent)
    limit = float(abs(values).max()) or 1.0
    bars = [
        Bar(visible_token(str(token)), short_number(float(value), 4), float(value) / limit)
        for token, value in zip(found.extra[name].values, values, strict=True)
    ]
    return bars, words.factor(exponent)


def most_active_at(found: Result, prompt: PromptInfo) -> tuple[str, str]:
    """Where in ``prompt`` a neuron is most active, ``3 ·Tower``, and how active."""
    import numpy as np

    along = found.extra["along"].values  # of two strips NaN where it is not
    at = int(np.nanargmax(abs(along)))
    token = words.token(prompt.tokens[at]) if at < len(prompt.tokens) else ""
    return f"{at} {token}", words.unsigned(float(along[at]), 2)


def example_rows(name: str, found: NeuronExamples) -> list[Row]:
    """The texts in which the neuron called ``name`` is most active, under a line on their corpus."""
    so_far = "" if found.finished else ", so far"
    title = f"{name} in {visible(found.corpus)}: above 0 at "
    title += f"{words.percent(found.positive)} of {found.tokens:,} tokens{so_far}"
    rows = [Row(title)]
    for one in found.examples:
        shown = [visible(token) for token in one.tokens]
        before, after = "".join(shown[: one.peak]), "".join(shown[one.peak + 1 :])
        lead = f"{words.unsigned(one.activation, 2):>6}  "
        rows.append(Row(lead, before, shown[one.peak], after))
    return rows


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


def listed_with_all(result: Result | None, neuron: tuple[int, int]) -> tuple[int, int] | None:
    """``neuron``, or the strongest of all where it is in no list but its layer's."""
    if result is None or not unwritten(result, neuron[0]):
        return neuron
    return next(iter(strongest_neurons(result.values, None, None)), None)
