"""What the rows of a lens say together."""

from __future__ import annotations

import numpy as np


def converged(top_ids: np.ndarray) -> np.ndarray:
    """The first row [token] from which on the best token of ``top_ids`` [row, token, top] stays."""
    best = top_ids[..., 0]
    same = np.logical_and.accumulate((best == best[-1])[::-1])[::-1]
    first: np.ndarray = same.argmax(0)
    return first
