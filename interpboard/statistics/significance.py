"""Tests that need no distribution: that a mean is nothing (flipped signs), that two groups have the same
one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import exp, lgamma

import numpy as np

_CELLS_A_STEP = 2048
_SIGNS_A_STEP = 1 << 22


def permutation_p_values(
    one: np.ndarray, other: np.ndarray, permutations: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided p-values [cell] that two groups of rows have the same mean: each cell's own, and the same
    against the largest difference of any cell, which holds for all together (Westfall and Young 1993).

    Rows are put into the groups at random ``permutations`` times, the way that was seen among them. A cell in
    which a row has no value is NaN, and the others are tested without it.
    """
    both = np.concatenate([one, other])
    own, family = np.full((2, both.shape[1]), np.nan)
    some = ~np.isnan(both).any(0)
    if not some.any() or len(one) < 1 or len(other) < 1:
        return own, family
    both = both[:, some]
    generator = np.random.default_rng(seed)
    share = np.full(len(both), -1.0 / len(other))
    share[: len(one)] = 1.0 / len(one)
    observed = np.abs(share @ both)
    # Ways that give the same difference but for rounding count as equal.
    least = observed - 1e-9 * np.abs(both).mean(0)
    larger = np.ones(both.shape[1])
    any_larger = np.ones(both.shape[1])
    for _ in range(permutations - 1):
        found = np.abs(generator.permutation(share) @ both)
        larger += found >= least
        any_larger += found.max() >= least
    own[some], family[some] = larger / permutations, any_larger / permutations
    return own, family


def smallest_p_value(one: int, other: int) -> float:
    """What a p-value of groups of ``one`` and ``other`` rows comes to at least, however many permutations are
    drawn: there are only so many ways to part them, and of groups of one size each is there twice."""
    ways = lgamma(one + other + 1) - lgamma(one + 1) - lgamma(other + 1)
    return (1 + (one == other)) * exp(-ways)


def sign_flip_p_values(
    effects: np.ndarray,
    permutations: int,
    seed: int,
    check: Callable[[], None] = lambda: None,
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
        own, family = np.full((2, effects.shape[1]), np.nan)
        if known.any():
            of_known = sign_flip_p_values(effects[:, known], permutations, seed, check)
            own[known], family[known] = of_known
        return own, family
    n_pairs, n_cells = effects.shape
    observed = np.abs(effects.mean(0))
    # Patterns that give the same mean but for rounding count as equal.
    least = observed - 1e-9 * np.abs(effects).mean(0)
    own, family, patterns = np.zeros(n_cells), np.zeros(n_cells), 0
    for signs in _signs(n_pairs, permutations, seed):
        largest = np.zeros(len(signs))
        for start in range(0, n_cells, _CELLS_A_STEP):
            check()
            part = slice(start, start + _CELLS_A_STEP)
            means = np.abs(signs @ effects[:, part]) / n_pairs
            own[part] += (means >= least[part]).sum(0)
            largest = np.maximum(largest, means.max(1))
        family += (largest[:, None] >= least).sum(0)
        patterns += len(signs)
    return own / patterns, family / patterns


def _signs(n_pairs: int, permutations: int, seed: int) -> Iterator[np.ndarray]:
    """Blocks of [pattern, pair] of ±1; the first pattern is all +1."""
    if n_pairs < 31 and 2**n_pairs <= permutations:
        bits = np.arange(2**n_pairs)[:, None] >> np.arange(n_pairs)
        yield 1.0 - 2.0 * (bits & 1)
        return
    generator = np.random.default_rng(seed)
    block = max(1, _SIGNS_A_STEP // n_pairs)
    for start in range(0, permutations, block):
        drawn = generator.integers(0, 2, size=(min(block, permutations - start), n_pairs))
        signs: np.ndarray = 1.0 - 2.0 * drawn
        if start == 0:
            signs[0] = 1.0
        yield signs
