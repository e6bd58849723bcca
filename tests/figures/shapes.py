"""Results of the shapes that have a figure of their own."""

from __future__ import annotations

import numpy as np

from interpboard.results import Axis, LabelledArray, Result, layer_axis, token_axis
from tests import sample


def attention() -> Result:
    tokens = ("a", " b", " c")
    values = np.random.default_rng(0).random((2, 2, 3, 3))
    axes = (layer_axis(2), Axis("head", ("0", "3")), Axis("query", tokens), Axis("key", tokens))
    return sample.result("attention", axes, values)


def trace() -> Result:
    axes = (layer_axis(3), token_axis(("The", " Eiffel", " Tower", " is")))
    return sample.result(
        "causal_trace", axes, np.arange(12.0).reshape(3, 4) / 12, params={"subject": [1, 2]}
    )


def written() -> Result:
    layer, sums = layer_axis(2), layer_axis(2, embed=True)
    extra = {
        "attention": LabelledArray((layer,), np.array([1.0, -2.0])),
        "mlp": LabelledArray((layer,), np.array([0.5, 3.0])),
        "accumulated": LabelledArray((sums,), np.array([0.0, 1.5, 2.5])),
    }
    names = Axis("component", ("embed", "L0", "L1"))
    return sample.result("direct_logit_attribution", (names,), [0.0, 1.5, 1.0], extra)


def strongest_pair(result: Result) -> float:
    """The largest probability of a key that is neither the query nor the first token."""
    size = result.values.shape[-1]
    counted = ~np.eye(size, dtype=bool) & (np.arange(size) > 0)
    return float(result.values[..., counted].max())


def edges(weak: bool = False) -> Result:
    """Three edges in the circuit, with a ``weak`` one four."""
    axis = Axis("edge", ("embed>0.1.q", "0.1>0.mlp", "0.mlp>output", "embed>output"))
    extra = {"in_circuit": LabelledArray((axis,), np.array([1, 1, 1, int(weak)]))}
    return sample.result("circuit", (axis,), [0.5, -1.0, 2.0, 0.01], extra)
