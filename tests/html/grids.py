"""Results of every shape, for pages."""

from __future__ import annotations

import numpy as np

from interpboard.results import (
    Axis,
    Document,
    LabelledArray,
    Result,
    layer_axis,
    text_array,
    token_axis,
)
from tests import sample


def attention(tokens: tuple[str, ...] = sample.TOKENS) -> Result:
    """Each query looks at itself in head 0, at the first token in the others."""
    size = len(tokens)
    values = np.zeros((sample.LAYERS, sample.HEADS, size, size))
    values[:, 0] = np.eye(size)
    values[:, 1:, :, 0] = 1.0
    heads = Axis("head", tuple(map(str, range(sample.HEADS))))
    axes = (layer_axis(sample.LAYERS), heads, Axis("query", tokens), Axis("key", tokens))
    return sample.result("attention_of_some_kind", axes, values)


def trace(tokens: tuple[str, ...] = sample.TOKENS) -> Result:
    """Layer × token with a second array over the same axes, and a subject."""
    axes = (layer_axis(sample.LAYERS), token_axis(tokens))
    values = np.arange(sample.LAYERS * len(tokens), dtype=float).reshape(sample.LAYERS, -1) - 3
    return sample.result(
        "causal_trace", axes, values, {"spread": LabelledArray(axes, values * 0 + 0.5)},
        params={"subject": [1, 2]},
    )  # fmt: skip


def edges() -> Result:
    """A score an edge."""
    return sample.result("circuit_of_some_kind", (Axis("edge", ("a→b", "b→c")),), [0.5, -2.0])


def lens(layers: int, tokens: tuple[str, ...], tops: int = 10) -> Result:
    """A logit lens with all its extras and no number twice."""
    axes = (layer_axis(layers, embed=True), token_axis(tokens))
    shape = (layers + 1, len(tokens))
    top_axes = (*axes, Axis("top", tuple(str(i + 1) for i in range(tops))))
    steps = np.linspace(0, 1, shape[0] * shape[1]).reshape(shape)
    words = text_array([f" w{i}" for i in range(shape[0] * shape[1] * tops)])
    probs = np.broadcast_to(steps[..., None] / (np.arange(tops) + 1), (*shape, tops))
    extra = {
        "top_tokens": LabelledArray(top_axes, words.reshape(*shape, tops)),
        "top_probs": LabelledArray(top_axes, probs),
        "rank": LabelledArray(axes, (1 + steps * 50_000).astype(int)),
    }
    return sample.result("logit_lens", axes, steps, extra)


def every_shape() -> Document:
    """A result of every number of axes."""
    cube = (Axis("score", ("s", "t")), layer_axis(sample.LAYERS), Axis("head", ("0", "1")))
    return sample.document(
        sample.predictions(),
        sample.gradients(),
        lens(sample.LAYERS, sample.TOKENS),
        sample.ablation(),
        trace(),
        attention(),
        edges(),
        sample.result("cube", cube, np.ones((2, sample.LAYERS, 2))),
        sample.result("scalar", (), 0.25),
        sample.result("nothing", (Axis("edge", ()),), []),
        sample.result("words", (Axis("rank", ("1",)),), text_array([" a"])),
    )
