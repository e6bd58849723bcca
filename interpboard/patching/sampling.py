"""How sure a mean over prompt pairs is: bootstrap intervals and sign-flip tests, a cell at a time."""

from __future__ import annotations

import numpy as np

from interpboard.runs.watch import SILENT, Watch

_CELLS_A_STEP = 2048


def bootstrap_interval(
    effects: np.ndarray, level: float, resamples: int, seed: int, watch: Watch = SILENT
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval (low, high) [cell] of the mean over pairs of ``effects`` [pair, cell].

    Pairs are drawn with replacement, the same draws for every cell.
    """
    n_pairs, n_cells = effects.shape
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(n_pairs, np.full(n_pairs, 1 / n_pairs), size=resamples) / n_pairs
    tails = [50 * (1 - level), 50 * (1 + level)]
    parts = []
    for start in range(0, n_cells, _CELLS_A_STEP):
        watch.check()
        means = drawn @ effects[:, start : start + _CELLS_A_STEP]
        parts.append(np.percentile(means, tails, axis=0))
    low, high = np.concatenate(parts, axis=1)
    return low, high


def sign_flip_p_values(
    effects: np.ndarray, permutations: int, seed: int, watch: Watch = SILENT
) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided p-values [cell] that the mean over pairs of ``effects`` [pair, cell] is 0.

    If there were no effect, each pair's could as well have had the other sign. All patterns of signs are
    tried where there are at most ``permutations``, else that many at random, the one seen among them.
    First each cell's own p-value; then the same against the largest mean of any cell, which holds for
    all cells together (Westfall and Young 1993). NaN for a cell with an effect that is NaN; the others
    are tested as if it were not there.
    """
    known = np.isfinite(effects).all(0)
    if not known.all():
        alone, family = np.full((2, effects.shape[1]), np.nan)
        if known.any():
            of_known = sign_flip_p_values(effects[:, known], permutations, seed, watch)
            alone[known], family[known] = of_known
        return alone, family
    n_pairs, n_cells = effects.shape
    signs = _signs(n_pairs, permutations, seed)
    observed = np.abs(effects.mean(0))
    # Patterns that give the same mean but for rounding count as equal.
    least = observed - 1e-9 * np.abs(effects).mean(0)
    alone = np.empty(n_cells)
    largest = np.zeros(len(signs))
    for start in range(0, n_cells, _CELLS_A_STEP):
        watch.check()
        part = slice(start, start + _CELLS_A_STEP)
        means = np.abs(signs @ effects[:, part]) / n_pairs
        alone[part] = (means >= least[part]).mean(0)
        largest = np.maximum(largest, means.max(1))
    return alone, (largest[:, None] >= least).mean(0)


def _signs(n_pairs: int, permutations: int, seed: int) -> np.ndarray:
    """[pattern, pair] of ±1; the first is all +1."""
    if n_pairs < 31 and 2**n_pairs <= permutations:
        bits = np.arange(2**n_pairs)[:, None] >> np.arange(n_pairs)
        return 1.0 - 2.0 * (bits & 1)
    drawn = np.random.default_rng(seed).integers(0, 2, size=(permutations, n_pairs))
    signs: np.ndarray = 1.0 - 2.0 * drawn
    signs[0] = 1.0
    return signs
