"""What everything writes into the answer in one run: contributions by layer, and by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from interpboard.circuits.direct.path import DirectPath
from interpboard.registry.component_names import head_label, layer_name, mlp_label
from interpboard.registry.layer_names import has_mlp


@dataclass(frozen=True)
class LayerParts:
    """Contributions of one layer. ``heads`` [head], ``neurons`` [neuron] (empty unless asked for).

    ``mlp``: None where it has none (``D`` of an encoder–decoder).
    """

    name: str
    heads: np.ndarray
    bias: float  # of attention: of its output projection and of a norm behind it
    mlp: float | None
    neurons: np.ndarray
    norms: float = 0.0  # what norms behind the sums put in (BERT)
    rounding: float = (
        0.0  # what the rounding of attention's head outputs to 8 bits put in (LLM.int8)
    )
    edit: float = 0.0  # what an edit of attention's output, or of the stream, put in beside them

    @property
    def attention(self) -> float:
        """All that attention adds."""
        return float(self.heads.sum()) + self.bias

    @property
    def total(self) -> float:
        """All that the layer adds."""
        return self.attention + (self.mlp or 0.0) + self.rounding + self.edit


@dataclass(frozen=True)
class DirectTerms:
    """Contributions of everything in one row of a run."""

    path: DirectPath
    embedded: float
    layers: list[LayerParts]


def what_is_there(row: DirectTerms) -> tuple[bool, ...]:
    """Which of what ``components`` leaves out is somewhere in ``row``. Rows of which that is one have the
    same components by themselves and together."""
    biased = any(layer.bias for layer in row.layers)
    rest = [bool(part) for own in row.layers for part in (own.norms, own.rounding, own.edit)]
    return biased, bool(row.path.norm_bias), bool(row.path.unembed_bias), *rest


def components(rows: Sequence[DirectTerms]) -> dict[str, list[float]]:
    """The contribution [row] of every component; biases and edits that are nowhere are left out."""
    values = {"embed": [row.embedded for row in rows]}
    layers = list(zip(*(row.layers for row in rows), strict=True))
    biased = any(each.bias for layer in layers for each in layer)
    for layer in layers:
        name = layer[0].name
        called = layer_name(name)
        heads = np.stack([each.heads for each in layer], axis=1)
        values |= {head_label(name, head): written.tolist() for head, written in enumerate(heads)}
        if biased:
            values[f"{called} bias"] = [each.bias for each in layer]
        if has_mlp(name):
            values[mlp_label(name)] = [each.mlp or 0.0 for each in layer]
        if any(each.norms for each in layer):
            values[f"{called} norm bias"] = [each.norms for each in layer]
        if any(each.rounding for each in layer):
            values[f"{called} rounding"] = [each.rounding for each in layer]
        if any(each.edit for each in layer):
            values[f"{called} edit"] = [each.edit for each in layer]
    constants = {
        "final norm bias": [row.path.norm_bias for row in rows],
        "unembed bias": [row.path.unembed_bias for row in rows],
    }
    return values | {name: written for name, written in constants.items() if any(written)}


def accumulated(parts: DirectTerms) -> np.ndarray:
    """The sum up to and with each layer, the embedding's first; constants are in it from the start."""
    first = parts.embedded + parts.path.norm_bias + parts.path.unembed_bias
    first += sum(layer.norms for layer in parts.layers)
    sums: np.ndarray = np.cumsum([first, *(layer.total for layer in parts.layers)])
    return sums
