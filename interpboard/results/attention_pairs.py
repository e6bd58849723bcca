"""Which tokens a head joins most."""

from __future__ import annotations

import numpy as np


def top_pairs(patterns: np.ndarray, top_k: int) -> tuple[np.ndarray, np.ndarray]:
    """The strongest (query, key) [layer, head, pair, 2] of each head, and how strong [layer, head, pair]."""
    n_layers, n_heads, n_pos, _ = patterns.shape
    pairs = np.full((n_layers, n_heads, top_k, 2), -1)
    probabilities = np.full((n_layers, n_heads, top_k), np.nan)
    queries, keys = np.tril_indices(n_pos)
    queries, keys = queries[1:], keys[1:]  # the first query has only itself
    kept = min(top_k, len(queries))
    seen = patterns[:, :, queries, keys]
    order = np.argsort(-seen, axis=-1, kind="stable")[..., :kept]
    pairs[:, :, :kept] = np.stack([queries[order], keys[order]], axis=-1)
    probabilities[:, :, :kept] = np.take_along_axis(seen, order, axis=-1)
    pairs[np.isnan(probabilities)] = -1  # a layer without a pattern joins nothing
    return pairs, probabilities
