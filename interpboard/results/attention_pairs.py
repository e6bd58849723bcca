"""Which tokens a head can join, and which it joins most."""

from __future__ import annotations

import numpy as np


def looks_ahead(patterns: np.ndarray) -> bool:
    """Does any query of ``patterns`` [..., query, key] attend to a later token? Those of encoders do; in a
    decoder what is behind a query has exactly 0."""
    return bool(np.any(np.triu(np.nan_to_num(patterns), 1)))


def possible_pairs(pattern: np.ndarray) -> np.ndarray:
    """Which (query, key) of ``pattern`` [query, key] can be: none where it has no query (NaN), and no later
    key unless a query of the pattern ``looks_ahead``."""
    there = ~np.isnan(pattern)
    return there if looks_ahead(pattern) else np.tril(there)


def top_pairs(patterns: np.ndarray, top_k: int) -> tuple[np.ndarray, np.ndarray]:
    """The strongest (query, key) [layer, head, pair, 2] of each head, and how strong [layer, head, pair].

    Of decoders the first query is left out, which has only itself.
    """
    n_layers, n_heads, n_pos, _ = patterns.shape
    pairs = np.full((n_layers, n_heads, top_k, 2), -1)
    probabilities = np.full((n_layers, n_heads, top_k), np.nan)
    if looks_ahead(patterns):
        queries, keys = (at.ravel() for at in np.indices((n_pos, n_pos)))
    else:
        queries, keys = (at[1:] for at in np.tril_indices(n_pos))
    kept = min(top_k, len(queries))
    seen = patterns[:, :, queries, keys]
    order = np.argsort(-seen, axis=-1, kind="stable")[..., :kept]
    pairs[:, :, :kept] = np.stack([queries[order], keys[order]], axis=-1)
    probabilities[:, :, :kept] = np.take_along_axis(seen, order, axis=-1)
    pairs[np.isnan(probabilities)] = -1  # a layer without a pattern joins nothing
    return pairs, probabilities
