"""How far rankings agree."""

from __future__ import annotations

import numpy as np


def rank_agreement(effects: np.ndarray) -> np.ndarray:
    """Spearman's correlation [column, column] of ``effects`` [row, column]; ties share their rank.

    NaN for a column that is all equal, or in which a value is NaN.
    """
    ranks = np.stack([_ranks(column) for column in effects.T])
    centred = ranks - ranks.mean(1, keepdims=True)
    norms = np.sqrt((centred**2).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        agreement: np.ndarray = centred @ centred.T / np.outer(norms, norms)
    return agreement


def _ranks(values: np.ndarray) -> np.ndarray:
    if np.isnan(values).any():  # sorting would give it the highest rank
        return np.full(values.shape, np.nan)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: np.ndarray = (ends - (counts - 1) / 2)[inverse]
    return ranks
