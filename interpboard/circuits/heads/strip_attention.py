"""What sums up attention in an encoder–decoder, where each layer has queries and keys of its own strips."""

from __future__ import annotations

import numpy as np

from interpboard.models.language_model import LanguageModel
from interpboard.models.strips import CROSS, DECODER, group_of
from interpboard.results import Axis, LabelledArray, PromptInfo
from interpboard.runs.strip_places import positions_at


def without_queries(
    lm: LanguageModel, prompt: PromptInfo, layers: tuple[int, ...], patterns: np.ndarray
) -> np.ndarray:
    """``patterns`` [layer, head, query, key], NaN at queries that a layer does not have."""
    found = patterns.copy()
    for row, layer in enumerate(layers):
        there = positions_at(lm, prompt, "q", layer)
        found[row, :, : there.start] = np.nan
        found[row, :, there.stop :] = np.nan
    return found


def strip_extras(
    lm: LanguageModel,
    prompt: PromptInfo,
    layers: tuple[int, ...],
    patterns: np.ndarray,
    axes: tuple[Axis, ...],
    top_k: int,
) -> dict[str, LabelledArray]:
    """``extra`` of ``attention``, of each layer's own queries and keys.

    Means are over all queries, but the first of the decoder's self-attention, which has only itself. In cross
    attention there is no distance (NaN).
    """
    shape = patterns.shape[:2]
    sums = {name: np.full(shape, np.nan) for name in ("entropy", "distance", "first", "sink")}
    pairs, probabilities = [], []
    for row, layer in enumerate(layers):
        group = group_of(lm.anatomy.layer_names[layer])
        queries, keys = (positions_at(lm, prompt, site, layer) for site in ("q", "k"))
        block = patterns[row][:, queries.start : queries.stop, keys.start : keys.stop]
        block = block.astype(np.float64)[:, int(group == DECODER) :]
        if block.shape[1]:
            _sum_up(block, sums, row, cross=group == CROSS)
        begin = queries.start + int(group == DECODER)
        places, values = _strongest(block, (begin, keys.start), top_k)
        pairs.append(places)
        probabilities.append(values)
    by_pair = (*axes[:2], Axis("pair", tuple(str(i + 1) for i in range(top_k))))
    return {
        **{name: LabelledArray(axes[:2], values) for name, values in sums.items()},
        "top_pairs": LabelledArray((*by_pair, Axis("end", ("query", "key"))), np.stack(pairs)),
        "top_probs": LabelledArray(by_pair, np.stack(probabilities)),
    }


def _strongest(
    block: np.ndarray, begin: tuple[int, int], top_k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The (query, key) [head, pair, 2] of highest probability in ``block``, counted from ``begin``, and the
    probabilities [head, pair]; −1 and NaN where there are fewer."""
    heads, queries, keys = block.shape
    pairs = np.full((heads, top_k, 2), -1)
    values = np.full((heads, top_k), np.nan)
    flat = block.reshape(heads, queries * keys)
    order = np.argsort(-flat, axis=-1, kind="stable")[:, :top_k]
    pairs[:, : order.shape[1]] = np.stack(np.divmod(order, keys), axis=-1) + np.array(begin)
    values[:, : order.shape[1]] = np.take_along_axis(flat, order, axis=-1)
    return pairs, values


def _sum_up(block: np.ndarray, sums: dict[str, np.ndarray], row: int, cross: bool) -> None:
    """The means of ``block`` [head, query, key] into ``row``."""
    total = block.sum(-1, keepdims=True)
    shares = block / np.where(total == 0, 1, total)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    sums["entropy"][row] = -(shares * logs).sum(-1).mean(-1)
    sums["first"][row] = block[..., 0].mean(-1)
    sums["sink"][row] = np.maximum(1 - total[..., 0], 0).mean(-1)
    if not cross:
        dropped = block.shape[2] - block.shape[1]
        back = np.abs(np.arange(dropped, block.shape[2])[:, None] - np.arange(block.shape[2]))
        sums["distance"][row] = (shares * back).sum(-1).mean(-1)
